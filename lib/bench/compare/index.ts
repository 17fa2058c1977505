/** The library side by side with what people use in its place: answers first, then speeds, measured in turns. */
import { basename } from 'node:path'
import { toEdgeInferError } from '../../native.js'
import { resolveSample } from '../../models/index.js'
import { tasksOfKind, type TaskName, type TaskOfKind } from '../../tasks/registry.js'
import { createTask, toNativeImage, type ModelOptions } from '../../tasks/index.js'
import { resolveTaskModel } from '../../tasks/models.js'
import type { FoundBox } from '../accuracy/matching.js'
import type { TargetProcess } from '../target-process.js'
import { interleave, type BenchTarget, type InterleavePlan, type Measurement } from '../interleave.js'
import { configOf, startBaseline, type ModelConfig } from '../kernel/baseline.js'
import { timeCall } from '../kernel/library.js'
import { compareAnswers, type Agreement } from './agreement.js'
import { COMPARED_FAMILIES, PEERS, type ComparedFamily } from './peer.js'

export interface CompareOptions extends
  Pick<InterleavePlan, 'warmupRequestCount' | 'requestCount' | 'measurementInterval' | 'signal'> {
  images: readonly string[]
  tasks?: readonly DetectionTask[] | undefined
  models?: Partial<Record<TaskName, string>> | undefined
  threads: number
  /** Ids of {@link PEERS}; all when absent. */
  peers?: readonly string[] | undefined
  onProgress?: ((label: string, done: number, total: number) => void) | undefined
}

type DetectionTask = TaskOfKind<'detection'>
export const COMPARED_TASKS: readonly DetectionTask[] = tasksOfKind('detection')

export interface ComparedTarget {
  name: string
  /** Which of the library's own it is; undefined for the others. */
  library?: LibraryVariant | undefined
  measured: Measurement[]
  /** With the library's most exact answer; undefined for the baseline, which answers nothing. */
  agreement: Agreement | undefined
}

/** `whole-input`: with the faster variant's input not cut to the frame, where that makes a difference. */
export type LibraryVariant = 'default' | 'whole-input' | 'as-exported'

/** All bench targets on one picture, the library first; index `i` of every `measured` is one round. */
export interface ComparedTask {
  task: DetectionTask
  model: string
  image: string
  width: number
  height: number
  threads: number
  benchTargets: ComparedTarget[]
  /** Peers that cannot run the model or cannot be had, and why. */
  skipped: string[]
  /** What makes a peer's figures less comparable. */
  notes: string[]
}

interface Entrant extends BenchTarget {
  library?: LibraryVariant
  answer?(): Promise<readonly FoundBox[]>
  close(): Promise<void>
}

const SAMPLE = 'faces'

export async function measureComparison(options: CompareOptions): Promise<ComparedTask[]> {
  const images = options.images.length > 0 ? options.images : [await resolveSample(SAMPLE)]
  const results: ComparedTask[] = []
  for (const image of images) {
    for (const task of options.tasks ?? COMPARED_TASKS) results.push(await compareOn(task, image, options))
  }
  return results
}

async function compareOn(task: DetectionTask, image: string, options: CompareOptions): Promise<ComparedTask> {
  const { threads, signal } = options
  const model = options.models?.[task]
  const { entry, paths } = await resolveTaskModel(task, model)
  const file = (await toNativeImage(image)).data
  const entrants: Entrant[] = []
  const skipped: string[] = []
  const notes: string[] = []
  try {
    const library = async (name: string, variant: LibraryVariant, more: ModelOptions): Promise<LibraryEntrant> => {
      const entrant = await enterLibrary(name, variant, task, file, { model, threads, ...more })
      entrants.push(entrant)
      return entrant
    }
    const fastest = await library('library', 'default', {})
    const { frame } = fastest
    const hasVariant = fastest.config.paths[0] !== paths[0]
    const exported = hasVariant
      ? await library('library, model as exported', 'as-exported', { asExported: true })
      : fastest
    const { config } = exported
    const size = ({ width, height }: ModelConfig['inputSize']): string => `${width}×${height}`
    if (size(fastest.config.inputSize) !== size(config.inputSize)) {
      await library(`library at ${size(config.inputSize)}`, 'whole-input', { rectangular: false })
    }
    for (const peer of PEERS) {
      if (options.peers && !options.peers.includes(peer.id)) continue
      const reason = isCompared(entry.family) ? peer.unfit(entry) : `${peer.name}: it does not read ${entry.family}`
      if (reason !== undefined || !entry.thresholds) {
        skipped.push(reason ?? `${peer.name}: the thresholds of ${entry.name} are not known`)
        continue
      }
      const settings = {
        model: paths[0] as string, family: entry.family as ComparedFamily, image, threads, inputSize: config.inputSize,
        preprocessing: entry.preprocessing, thresholds: entry.thresholds,
      }
      try {
        entrants.push(enterProcess(await peer.start(settings, signal)))
      } catch (error) {
        // The others are measured all the same, unless it was asked for by name.
        const { code, message } = toEdgeInferError(error)
        if (options.peers || code !== 'RUNTIME_UNAVAILABLE') throw error
        skipped.push(`${peer.name}: ${message}`)
        continue
      }
      notes.push(...peer.remark?.() ?? [])
    }
    entrants.push(baselineEntrant(await startBaseline({ config, image, threads, runs: 1, signal })))

    const exact = await exported.exactAnswer()
    const agreements = await Promise.all(entrants.map(async (entrant) =>
      entrant.answer && compareAnswers(exact, await entrant.answer())))
    const label = `${task}, ${basename(image)}`
    const measured = await interleave(entrants, {
      ...options, onProgress: (done, total) => options.onProgress?.(label, done, total),
    })
    return {
      task, model: entry.name, image: basename(image), ...frame, threads, skipped, notes,
      benchTargets: entrants.map(({ name, library }, index) => ({
        name, library, measured: measured[index] ?? [], agreement: agreements[index],
      })),
    }
  } finally {
    for (const entrant of entrants) await entrant.close()
  }
}

function isCompared(family: string): family is ComparedFamily {
  return (COMPARED_FAMILIES as readonly string[]).includes(family)
}

interface LibraryEntrant extends Entrant {
  library: LibraryVariant
  config: ModelConfig
  /** Pixels of the picture. */
  frame: { width: number; height: number }
  answer(): Promise<readonly FoundBox[]>
  /** With every pixel decoded. */
  exactAnswer(): Promise<readonly FoundBox[]>
}

async function enterLibrary(
  name: string, library: LibraryVariant, task: DetectionTask, file: Uint8Array, options: ModelOptions,
): Promise<LibraryEntrant> {
  const detector = await createTask(task, options)
  const { width, height } = await detector.run(file)
  return {
    name,
    library,
    config: configOf(detector.model, { width, height }),
    frame: { width, height },
    measure: () => timeCall(() => detector.run(file)),
    answer: async () => (await detector.run(file)).objects,
    exactAnswer: async () => (await detector.run(file, { fullDecode: true })).objects,
    close: () => detector.close(),
  }
}

function enterProcess(process: TargetProcess): Entrant {
  return {
    name: process.name,
    measure: () => process.measure(),
    answer: async () => (await process.ask('result')).objects as FoundBox[],
    close: () => process.close(),
  }
}

/** It runs the model's own file too, on its whole input. */
function baselineEntrant(process: TargetProcess): Entrant {
  return { name: 'baseline', measure: () => process.measure(), close: () => process.close() }
}
