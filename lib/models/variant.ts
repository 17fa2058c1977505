/**
 * Faster forms of a model, made from its file when it is first used and kept in the store: the same weights, the graph
 * cut where native code does the rest better. A form is only used when it gives the same results.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  native, type ModelFamily, type NativeDetections, type NativeSessionOptions,
} from '../native.js'
import { digestOf } from './digest.js'
import { cutUltraFace } from './onnx/cut-ultraface.js'
import { cutYoloV8 } from './onnx/cut-yolov8.js'
import type { CutModel } from './onnx/model.js'
import { storeDirectory } from './paths.js'
import type { CatalogEntry } from './types.js'

/** To be raised when the way variants are made changes. */
const VERSION = 2

export interface ModelVariant {
  path: string
  family: ModelFamily
  /** The input the model was made for, pixels. */
  inputSize: { width: number; height: number }
}

interface Cut {
  family: ModelFamily
  cut(file: Buffer): CutModel | undefined
}

const CUTS: Readonly<Record<ModelFamily, Cut>> = {
  yolov8: { family: 'yolov8-raw', cut: cutYoloV8 },
  ultraface: { family: 'ultraface-raw', cut: cutUltraFace },
}

/** What the store remembers: where no variant is to be had, that too. */
type Note = { usable: true; inputSize: ModelVariant['inputSize'] } | { usable: false; reason: string }

const DEFAULT_SIZE = { width: 640, height: 640 }
/** The share of its area by which a box may differ, and the score. */
const MIN_IOU = 0.99
const MAX_SCORE_DIFFERENCE = 0.005
/** Low enough that each grid has objects; and what of them must be in both forms. */
const MIN_SCORE = 1e-5
const SURE_SCORE = 2 * MIN_SCORE

/** The variant of a model's file, made now if need be; undefined where there is none that gives the same results. */
export async function variantOf(entry: CatalogEntry, path: string): Promise<ModelVariant | undefined> {
  const cut = CUTS[entry.family]
  if (!cut) return undefined
  const stem = await stemOf(path)
  const file = `${stem}.onnx`
  const known = await readNote(`${stem}.json`)
  if (known) return known.usable ? { path: file, family: cut.family, inputSize: known.inputSize } : undefined
  try {
    await mkdir(dirname(stem), { recursive: true })
    const note = await make(entry, cut, path, file)
    await writeAtomically(`${stem}.json`, JSON.stringify(note))
    return note.usable ? { path: file, family: cut.family, inputSize: note.inputSize } : undefined
  } catch {
    // A store that cannot be written costs speed, not the model.
    return undefined
  }
}

/** Takes what {@link variantOf} made of a file out of the store. */
export async function removeVariant(path: string): Promise<void> {
  const stem = await stemOf(path)
  await Promise.all(['.onnx', '.json'].map((end) => rm(stem + end, { force: true })))
}

async function stemOf(path: string): Promise<string> {
  return join(storeDirectory(), 'variants', `${(await digestOf(path)).slice(0, 32)}-raw-v${VERSION}`)
}

async function make(entry: CatalogEntry, { cut, family }: Cut, path: string, target: string): Promise<Note> {
  const made = cut(await readFile(path))
  if (!made) return { usable: false, reason: `its graph does not end as exports of ${entry.family} do` }
  const inputSize = made.inputSize ?? entry.input ?? DEFAULT_SIZE
  const size = { width: inputSize.width, height: inputSize.height }
  await writeAtomically(target, made.file)
  const reason = await differs(entry, { path, family: entry.family }, { path: target, family }, size)
    .catch((error: unknown) => String(error))
  if (reason === undefined) return { usable: true, inputSize: size }
  await rm(target, { force: true })
  return { usable: false, reason }
}

type ModelFile = Pick<ModelVariant, 'path' | 'family'>

/** Runs both forms on a picture of coloured blocks; says how they differ, if they do. */
async function differs(
  entry: CatalogEntry, exported: ModelFile, variant: ModelFile, size: ModelVariant['inputSize'],
): Promise<string | undefined> {
  const common: Omit<NativeSessionOptions, 'modelPaths' | 'family'> = {
    preprocessing: entry.preprocessing,
    boxesDecoded: entry.boxesDecoded,
    inputSize: size,
    device: { kind: 'cpu', index: 0 },
    fallbackToCpu: false,
    intraOpThreads: 1,
    allowSpinning: false,
    concurrency: 1,
  }
  const image = { kind: 'raw' as const, data: testPicture(size), ...size, channels: 3, order: 'bgr' as const }
  // All that any cell of any grid answers, whatever overlaps it.
  const options = { scoreThreshold: MIN_SCORE, iouThreshold: 1, maxDetections: 100_000 }
  const [before, after] = await Promise.all([exported, variant].map(async ({ path, family }) => {
    const session = await native.createSession({ ...common, modelPaths: [path], family })
    try {
      return await session.detect(image, options, 1)
    } finally {
      await session.close()
    }
  }))
  return before && after && firstDifference(before, after)
}

/** Each object of the one must have its like in the other; those about as sure as the threshold may be in one only. */
function firstDifference(before: NativeDetections, after: NativeDetections): string | undefined {
  if (before.scores.length === 0) return 'neither form finds anything to compare'
  const left = new Set(after.scores.keys())
  for (const [index, score] of before.scores.entries()) {
    const box = boxAt(before, index)
    let [like, iou] = [-1, 0]
    for (const other of nearest(after.scores, score, left)) {
      const shared = overlap(box, boxAt(after, other))
      if (shared > iou) [like, iou] = [other, shared]
    }
    if (iou >= MIN_IOU) left.delete(like)
    else if (score > SURE_SCORE) return `the variant has no object of score ${score} at ${box.join(' ')}`
  }
  const more = [...left].find((index) => (after.scores[index] as number) > SURE_SCORE)
  return more === undefined ? undefined : `only the variant has an object of score ${after.scores[more]}`
}

/** Those left with nearly that score; scores fall from one to the next. */
function* nearest(scores: Float32Array, score: number, left: ReadonlySet<number>): Generator<number> {
  for (const index of left) {
    const difference = (scores[index] as number) - score
    if (difference > MAX_SCORE_DIFFERENCE) continue
    if (difference < -MAX_SCORE_DIFFERENCE) return
    yield index
  }
}

function boxAt({ boxes }: NativeDetections, index: number): Float32Array {
  return boxes.subarray(4 * index, 4 * index + 4)
}

function testPicture({ width, height }: ModelVariant['inputSize']): Buffer {
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const block = (Math.floor(x / 80) * 7 + Math.floor(y / 60) * 13) % 11
      const at = (y * width + x) * 3
      pixels[at] = block * 23
      pixels[at + 1] = (x * 255) / width
      pixels[at + 2] = (y * 255) / height
    }
  }
  return pixels
}

function overlap(a: Float32Array, b: Float32Array): number {
  const side = (low: number, high: number): number =>
    Math.max(0, Math.min(a[high] as number, b[high] as number) - Math.max(a[low] as number, b[low] as number))
  const area = (box: Float32Array): number =>
    ((box[2] as number) - (box[0] as number)) * ((box[3] as number) - (box[1] as number))
  const shared = side(0, 2) * side(1, 3)
  return shared / (area(a) + area(b) - shared)
}

async function readNote(path: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Note
  } catch {
    return undefined
  }
}

async function writeAtomically(path: string, data: string | Buffer): Promise<void> {
  const temporary = `${path}.${process.pid}`
  await writeFile(temporary, data)
  await rename(temporary, path)
}
