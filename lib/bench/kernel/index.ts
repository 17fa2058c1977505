/** The library call, stage by stage, compared with the baseline: one process, one frame after another. */
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { EdgeInferError } from '../../errors.js'
import { resolveSample } from '../../models/index.js'
import { defaultModelFor } from '../../tasks/models.js'
import { TASK_NAMES, tasksOfKind, type TaskName, type TaskOfKind } from '../../tasks/registry.js'
import { createTask, toNativeImage } from '../../tasks/index.js'
import { measureEventLoopGaps, type EventLoopGaps } from '../event-loop.js'
import { interleave, type InterleavePlan, type Measurement } from '../interleave.js'
import { startBaseline } from './baseline.js'
import { openLibrary, type LibraryOptions } from './library.js'

export interface KernelOptions extends
  Pick<InterleavePlan, 'warmupRequestCount' | 'requestCount' | 'measurementInterval' | 'signal'>,
  Pick<LibraryOptions, 'fullDecode' | 'crops' | 'device' | 'asExported' | 'rectangular'> {
  /** Paths; the sample photograph when there is none. */
  images: readonly string[]
  tasks?: readonly TaskName[] | undefined
  models?: Partial<Record<TaskName, string>> | undefined
  /** Each number of intra-op threads is measured by itself. */
  threads: readonly number[]
  /** Measure the baseline in turns with the library. */
  baseline: boolean
  /** Measure the event loop under this many concurrent runs of the detection with the largest input; 0: do not. */
  concurrentRuns: number
  onProgress?: ((label: string, done: number, total: number) => void) | undefined
}

/** One task on one picture with one number of threads. */
export interface KernelResult {
  task: TaskName
  /** Name of the catalogue, and the input's size in pixels where it is known. */
  model: string
  input: string
  image: string
  width: number
  height: number
  threads: number
  /** Times the model runs a frame: once a face for head poses. */
  runs: number
  library: Measurement[]
  /** Index `i` was measured next to index `i` of the library; undefined without a baseline. */
  baseline: Measurement[] | undefined
}

/** Gaps of the event loop while `concurrentRuns` calls are under way, `computedAtOnce` of them on threads. */
export interface EventLoopResult extends EventLoopGaps {
  model: string
  concurrentRuns: number
  computedAtOnce: number
}

export interface KernelResults {
  results: KernelResult[]
  /** What was left out, and why. */
  skipped: string[]
  eventLoop: EventLoopResult[]
}

const SAMPLE = 'faces'
const EVENT_LOOP_ROUNDS = 5

export async function measureKernel(options: KernelOptions): Promise<KernelResults> {
  const images = options.images.length > 0 ? options.images : [await resolveSample(SAMPLE)]
  const results: KernelResult[] = []
  const skipped: string[] = []
  for (const image of images) {
    for (const task of options.tasks ?? TASK_NAMES) {
      for (const threads of options.threads) {
        const outcome = await measureTask(task, image, threads, options)
        if (typeof outcome !== 'string') results.push(outcome)
        else if (!skipped.includes(outcome)) skipped.push(outcome)
      }
    }
  }
  const eventLoop: EventLoopResult[] = []
  if (options.concurrentRuns > 0) {
    const sensible = Math.min(options.concurrentRuns, availableParallelism())
    for (const computedAtOnce of new Set([sensible, options.concurrentRuns])) {
      eventLoop.push(await measureEventLoop(images[0] as string, computedAtOnce, options))
    }
  }
  return { results, skipped, eventLoop }
}

/** A result, or why there is none. */
async function measureTask(
  task: TaskName, image: string, threads: number, options: KernelOptions,
): Promise<KernelResult | string> {
  const { fullDecode, crops, device, asExported, rectangular, models } = options
  const name = basename(image)
  let library
  try {
    library = await openLibrary(task, await readBytes(image), {
      model: models?.[task], threads, device, fullDecode, crops, asExported, rectangular,
    })
  } catch (error) {
    // Without a choice of tasks, those whose models this machine lacks are left out.
    const missing = error instanceof EdgeInferError && error.code === 'MODEL_UNAVAILABLE'
    if (missing && options.tasks === undefined) return `${task}: ${error.message}`
    throw error
  }
  if (library === undefined) return `${task}: there is no face in ${name}`
  const { config, width, height, runs } = library
  let baseline
  try {
    if (options.baseline) baseline = await startBaseline({ config, image, threads, runs, signal: options.signal })
    const benchTargets = [library, ...(baseline ? [baseline] : [])]
    const label = `${task}, ${name}, ${threads} thread${threads === 1 ? '' : 's'}`
    const [own = [], compared] = await interleave(benchTargets, {
      ...options, onProgress: (done, total) => options.onProgress?.(label, done, total),
    })
    const input = `${config.inputSize.width}×${config.inputSize.height}`
    return {
      task, model: config.model, input, image: name, width, height, threads, runs, library: own, baseline: compared,
    }
  } finally {
    await baseline?.close()
    await library.close()
  }
}

/** @throws EdgeInferError BAD_IMAGE when it cannot be read. */
async function readBytes(image: string): Promise<Uint8Array> {
  return (await toNativeImage(image)).data
}

async function measureEventLoop(
  image: string, computedAtOnce: number, options: KernelOptions,
): Promise<EventLoopResult> {
  const { concurrentRuns, device, models, signal } = options
  const task = longestDetection()
  const detector = await createTask(task, {
    model: models?.[task], device, threads: 1, concurrency: computedAtOnce,
  })
  const label = `event loop, ${concurrentRuns} concurrent runs, ${computedAtOnce} at once`
  try {
    const file = await readBytes(image)
    const gaps = await measureEventLoopGaps(async () => {
      for (let round = 0; round < EVENT_LOOP_ROUNDS; round++) {
        options.onProgress?.(label, round, EVENT_LOOP_ROUNDS)
        await Promise.all(Array.from({ length: concurrentRuns }, () => detector.run(file, { signal })))
      }
    })
    return { ...gaps, model: detector.model.entry.name, concurrentRuns, computedAtOnce }
  } finally {
    await detector.close()
  }
}

/** Larger inputs take longer. */
function longestDetection(): TaskOfKind<'detection'> {
  const pixels = (task: TaskName): number => {
    const { width = 0, height = 0 } = defaultModelFor(task).input ?? {}
    return width * height
  }
  return tasksOfKind('detection').reduce((longest, task) => pixels(task) > pixels(longest) ? task : longest)
}
