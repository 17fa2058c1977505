/** The library's own calls as bench targets. */
import { definitionOf, feedsAnother, isTaskName, type TaskName } from '../../tasks/registry.js'
import type { StageTimings } from '../../native.js'
import { createTask, HeadPoseEstimator, type Detector, type BoundingBox, type ModelOptions } from '../../tasks/index.js'
import type { BenchTarget, Measurement } from '../interleave.js'
import { configOf, type ModelConfig } from './baseline.js'

export interface LibraryOptions extends ModelOptions {
  fullDecode?: boolean | undefined
  /** Detections that another task starts from also answer a JPEG of each object. */
  crops?: boolean | undefined
}

export interface LibraryTarget extends BenchTarget {
  config: ModelConfig
  /** Pixels of the picture. */
  width: number
  height: number
  /** Times the model runs a frame. */
  runs: number
  close(): Promise<void>
}

/** Stages of a call and what is left of it: the hand-over to a thread of ours and back, and the objects made. */
export const STAGES = ['decode', 'preprocess', 'inference', 'postprocess', 'encode', 'overhead'] as const

/** `file` holds the picture's bytes. Undefined where the task has nothing to do: no face to align in the picture. */
export async function openLibrary(
  task: TaskName, file: Uint8Array, options: LibraryOptions,
): Promise<LibraryTarget | undefined> {
  const { input } = definitionOf(task)
  const faces = isTaskName(input) ? await findBoxes(input, file, options) : undefined
  if (faces?.length === 0) return undefined
  const { fullDecode, crops, ...modelOptions } = options
  // A call that decodes in full fills the whole input; the baseline must run the same.
  const opened = await createTask(task, fullDecode ? { ...modelOptions, rectangular: false } : modelOptions)
  const call = opened instanceof HeadPoseEstimator
    ? () => opened.run(file, faces ?? [])
    : () => opened.run(file, { fullDecode, crops: crops === true && feedsAnother(task) })
  const first = await call()
  const { width, height } = 'sizes' in first ? first.sizes[0] as { width: number; height: number } : first
  return {
    name: 'library',
    config: configOf(opened.model, { width, height }),
    width,
    height,
    runs: faces?.length ?? 1,
    measure: () => timeCall(call),
    close: () => opened.close(),
  }
}

/** Time of one call as its caller sees it. */
export async function timeCall(call: () => Promise<{ timings: StageTimings }>): Promise<Measurement> {
  const begin = performance.now()
  const { timings } = await call()
  const total = performance.now() - begin
  const inside = Object.values(timings).reduce((sum, stage) => sum + stage, 0)
  return { total, stages: { ...timings, overhead: total - inside } }
}

async function findBoxes(
  task: TaskName, file: Uint8Array, { threads, runtimeLibrary }: LibraryOptions,
): Promise<BoundingBox[]> {
  const detector = await createTask(task, { threads, runtimeLibrary }) as Detector
  try {
    const { objects } = await detector.run(file)
    return objects.map(({ box }) => box)
  } finally {
    await detector.close()
  }
}
