/** The library side by side with what people use in its place: answers first, then speeds, measured in turns. */
import { basename } from 'node:path'
import { defaultModelFor, resolveModel, resolveSample, variantOf, type TaskName } from '../../models/index.js'
import { Detector, toNativeImage, type ModelOptions } from '../../tasks/index.js'
import type { FoundBox } from '../accuracy/matching.js'
import type { ContenderProcess } from '../contender-process.js'
import { interleave, type Contender, type InterleavePlan, type Measurement } from '../interleave.js'
import { startFloor } from '../kernel/floor.js'
import { formOf } from '../kernel/form.js'
import { timeCall } from '../kernel/library.js'
import { compareAnswers, type Agreement } from './agreement.js'
import { COMPARED_FAMILIES, type ComparedFamily } from './peer.js'
import { PEERS } from './peers.js'

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

export const COMPARED_TASKS = ['face_detection', 'car_detection', 'helmet_detection'] as const
export type DetectionTask = (typeof COMPARED_TASKS)[number]

export interface ComparedContender {
  name: string
  measured: Measurement[]
  /** With the library's most exact answer; undefined for the floor, which answers nothing. */
  agreement: Agreement | undefined
}

/** All contenders on one picture, the library first; index `i` of every `measured` is one round. */
export interface ComparedTask {
  task: DetectionTask
  model: string
  image: string
  width: number
  height: number
  threads: number
  contenders: ComparedContender[]
  /** Peers that cannot run the model, and why. */
  skipped: string[]
}

interface Entrant extends Contender {
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
  const model = options.models?.[task] ?? defaultModelFor(task).name
  const { entry, paths } = await resolveModel(model, { task })
  const file = (await toNativeImage(image)).data
  const entrants: Entrant[] = []
  const skipped: string[] = []
  try {
    const hasVariant = (await variantOf(entry, paths[0] as string)) !== undefined
    entrants.push(await enterLibrary('library', task, file, { model, threads }))
    if (hasVariant) {
      entrants.push(await enterLibrary('library, model as exported', task, file, { model, threads, asExported: true }))
    }
    const frame = await (entrants[0] as LibraryEntrant).size()
    const form = await formOf(task, frame, { model, asExported: true })
    for (const peer of PEERS) {
      if (options.peers && !options.peers.includes(peer.id)) continue
      const reason = isCompared(entry.family) ? peer.unfit(entry) : `${peer.name}: it does not read ${entry.family}`
      if (reason !== undefined || !form.inputSize || !entry.thresholds) {
        skipped.push(reason ?? `${peer.name}: the input size of ${model} is not known`)
        continue
      }
      const process = await peer.start({
        model: paths[0] as string, family: entry.family as ComparedFamily, image, threads, inputSize: form.inputSize,
        preprocessing: entry.preprocessing, thresholds: entry.thresholds,
      }, signal)
      entrants.push(enterProcess(process))
    }
    entrants.push(floorEntrant(await startFloor({ form, image, threads, runs: 1, signal })))

    const exact = await (entrants[hasVariant ? 1 : 0] as LibraryEntrant).exactAnswer()
    const agreements = await Promise.all(entrants.map(async (entrant) =>
      entrant.answer && compareAnswers(exact, await entrant.answer())))
    const label = `${task}, ${basename(image)}`
    const measured = await interleave(entrants, {
      ...options, onProgress: (done, total) => options.onProgress?.(label, done, total),
    })
    return {
      task, model: entry.name, image: basename(image), ...frame, threads, skipped,
      contenders: entrants.map(({ name }, index) => ({
        name, measured: measured[index] ?? [], agreement: agreements[index],
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
  answer(): Promise<readonly FoundBox[]>
  /** With every pixel decoded. */
  exactAnswer(): Promise<readonly FoundBox[]>
  size(): Promise<{ width: number; height: number }>
}

async function enterLibrary(
  name: string, task: DetectionTask, file: Uint8Array, options: ModelOptions,
): Promise<LibraryEntrant> {
  const detector = await Detector.open(task, options)
  return {
    name,
    measure: () => timeCall(() => detector.run(file)),
    answer: async () => (await detector.run(file)).objects,
    exactAnswer: async () => (await detector.run(file, { fullDecode: true })).objects,
    async size() {
      const { width, height } = await detector.run(file)
      return { width, height }
    },
    close: () => detector.close(),
  }
}

function enterProcess(process: ContenderProcess): Entrant {
  return {
    name: process.name,
    measure: () => process.measure(),
    answer: async () => (await process.ask('result')).objects as FoundBox[],
    close: () => process.close(),
  }
}

/** It runs the model's own file too, on its whole input. */
function floorEntrant(process: ContenderProcess): Entrant {
  return { name: 'floor', measure: () => process.measure(), close: () => process.close() }
}
