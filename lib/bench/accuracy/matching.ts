/** Detections against labelled boxes. */
import type { BoundingBox } from '../../tasks/index.js'

export interface TruthBox {
  box: BoundingBox
  classId: number
  /** Neither finding nor missing it counts. */
  ignored?: boolean | undefined
}

export interface FoundBox {
  box: BoundingBox
  classId: number
  score: number
}

export interface MatchRules {
  /** Least intersection over union of a hit. */
  iou: number
  /** Score from which a detection counts for precision and recall. */
  scoreThreshold: number
  /** Pixels: boxes whose geometric mean of the sides is smaller neither count as truth nor as false. */
  minSide: number
}

export interface DetectionScores {
  /** Labelled boxes that count. */
  objects: number
  precision: number
  recall: number
  /** Area under the precision-recall curve, interpolated at every recall. */
  averagePrecision: number
}

/** A picture's labels and what was found in it, down to the least score. */
export interface Picture {
  truth: readonly TruthBox[]
  found: readonly FoundBox[]
}

type Verdict = 'hit' | 'false' | 'ignored'

export function intersectionOverUnion(a: BoundingBox, b: BoundingBox): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (width <= 0 || height <= 0) return 0
  const overlap = width * height
  return overlap / (area(a) + area(b) - overlap)
}

/** Scores of a set; detections of all pictures and classes are ranked together. */
export function scoreDetections(pictures: readonly Picture[], rules: MatchRules): DetectionScores {
  let objects = 0
  const judged: Array<{ score: number; verdict: Verdict }> = []
  for (const { truth, found } of pictures) {
    const counted = truth.map((item) => ({ ...item, ignored: item.ignored === true || side(item.box) < rules.minSide }))
    objects += counted.filter(({ ignored }) => !ignored).length
    judged.push(...judge(counted, found, rules))
  }
  const ranked = judged.filter(({ verdict }) => verdict !== 'ignored').sort((a, b) => b.score - a.score)
  const curve: Array<{ precision: number; recall: number; score: number }> = []
  let hits = 0
  for (const [index, { score, verdict }] of ranked.entries()) {
    if (verdict === 'hit') hits++
    curve.push({ precision: hits / (index + 1), recall: hits / objects, score })
  }
  const atThreshold = curve.filter(({ score }) => score >= rules.scoreThreshold).at(-1)
  return {
    objects,
    precision: atThreshold?.precision ?? Number.NaN,
    recall: atThreshold?.recall ?? 0,
    averagePrecision: areaUnder(curve),
  }
}

/** Best first, each detection takes the free label of its class that it overlaps most. */
function judge(
  truth: ReadonlyArray<TruthBox & { ignored: boolean }>, found: readonly FoundBox[], rules: MatchRules,
): Array<{ score: number; verdict: Verdict }> {
  const taken = new Set<number>()
  return [...found].sort((a, b) => b.score - a.score).map(({ box, classId, score }) => {
    let best: { index: number; overlap: number } | undefined
    for (const [index, label] of truth.entries()) {
      if (label.classId !== classId || (taken.has(index) && !label.ignored)) continue
      const overlap = intersectionOverUnion(box, label.box)
      if (overlap < rules.iou) continue
      const better = best === undefined || (truth[best.index]?.ignored && !label.ignored) ||
        (truth[best.index]?.ignored === label.ignored && overlap > best.overlap)
      if (better) best = { index, overlap }
    }
    if (best === undefined) return { score, verdict: side(box) < rules.minSide ? 'ignored' : 'false' }
    taken.add(best.index)
    return { score, verdict: truth[best.index]?.ignored ? 'ignored' : 'hit' }
  })
}

function areaUnder(curve: ReadonlyArray<{ precision: number; recall: number }>): number {
  let sum = 0
  let ceiling = 0
  for (let index = curve.length - 1; index >= 0; index--) {
    const point = curve[index] as { precision: number; recall: number }
    ceiling = Math.max(ceiling, point.precision)
    sum += ceiling * (point.recall - (curve[index - 1]?.recall ?? 0))
  }
  return sum
}

function area(box: BoundingBox): number {
  return (box[2] - box[0]) * (box[3] - box[1])
}

function side(box: BoundingBox): number {
  return Math.sqrt(area(box))
}
