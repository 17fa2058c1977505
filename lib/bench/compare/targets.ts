/** How fast the library must be compared with the others: ratios of medians, at most. */
import { ratioOfMedians, type Ratio } from '../statistics.js'
import type { TaskName } from '../../tasks/registry.js'
import type { ComparedTarget, ComparedTask, LibraryVariant } from './index.js'

interface Target {
  task?: TaskName
  library: LibraryVariant
  other: string
  most: number
}

export interface JudgedTarget {
  /** `car_detection, library at 640×640 ÷ onnxruntime-node + sharp` */
  name: string
  most: number
  ratio: Ratio
}

const NPM_PEER = 'onnxruntime-node + sharp'
const TARGETS: readonly Target[] = [
  { task: 'face_detection', library: 'default', other: NPM_PEER, most: 0.55 },
  { task: 'car_detection', library: 'default', other: NPM_PEER, most: 0.52 },
  { task: 'car_detection', library: 'whole-input', other: NPM_PEER, most: 0.82 },
  // As the baseline runs it, so that a smaller input is no help.
  { library: 'as-exported', other: 'baseline', most: 1.1 },
]

/** Those whose two bench targets were both measured. */
export function judge({ task, benchTargets }: ComparedTask): JudgedTarget[] {
  const targets = TARGETS.filter((target) => target.task === undefined || target.task === task)
  return targets.flatMap(({ library, other, most }) => {
    const ours = benchTargets.find((benchTarget) => benchTarget.library === library) ??
      // A model without a faster variant is run as exported by default.
      (library === 'as-exported' ? benchTargets.find((benchTarget) => benchTarget.library === 'default') : undefined)
    const theirs = benchTargets.find(({ name }) => name === other)
    if (ours === undefined || theirs === undefined) return []
    return [{ name: `${task}, ${ours.name} ÷ ${other}`, most, ratio: ratioOfMedians(totals(ours), totals(theirs)) }]
  })
}

export function totals({ measured }: ComparedTarget): number[] {
  return measured.map(({ total }) => total)
}
