/**
 * Faster forms of a model, made from its file when it is first used and kept in the store: the same weights, the graph
 * cut where native code does the rest better. A form is only used when it gives the same results.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { native, type NativeSessionOptions } from '../native.js'
import { digestOf } from './digest.js'
import { cutYoloV8 } from './onnx/cut-yolov8.js'
import { storeDirectory } from './paths.js'
import type { CatalogEntry } from './types.js'

/** To be raised when the way variants are made changes. */
const VERSION = 1

export interface ModelVariant {
  path: string
  family: 'yolov8-raw'
  /** The input the model was made for, pixels. */
  inputSize: { width: number; height: number }
}

/** What the store remembers: where no variant is to be had, that too. */
type Note = { usable: true; inputSize: ModelVariant['inputSize'] } | { usable: false; reason: string }

const DEFAULT_SIZE = { width: 640, height: 640 }
/** The share of its area by which a box may differ, and the score. */
const LEAST_IOU = 0.99
const MOST_SCORE_DIFFERENCE = 0.005

/** The variant of a model's file, made now if need be; undefined where there is none that gives the same results. */
export async function variantOf(entry: CatalogEntry, path: string): Promise<ModelVariant | undefined> {
  if (entry.family !== 'yolov8') return undefined
  const directory = join(storeDirectory(), 'variants')
  const stem = join(directory, `${(await digestOf(path)).slice(0, 32)}-raw-v${VERSION}`)
  const file = `${stem}.onnx`
  const known = await readNote(`${stem}.json`)
  if (known) return known.usable ? { path: file, family: 'yolov8-raw', inputSize: known.inputSize } : undefined
  try {
    await mkdir(directory, { recursive: true })
    const note = await make(entry, path, file)
    await writeAtomically(`${stem}.json`, JSON.stringify(note))
    return note.usable ? { path: file, family: 'yolov8-raw', inputSize: note.inputSize } : undefined
  } catch {
    // A store that cannot be written costs speed, not the model.
    return undefined
  }
}

async function make(entry: CatalogEntry, path: string, target: string): Promise<Note> {
  const cut = cutYoloV8(await readFile(path))
  if (!cut) return { usable: false, reason: 'its graph does not end as YOLOv8 exports do' }
  const inputSize = cut.inputSize ?? entry.input ?? DEFAULT_SIZE
  const size = { width: inputSize.width, height: inputSize.height }
  await writeAtomically(target, cut.file)
  const reason = await differs(entry, path, target, size).catch((error: unknown) => String(error))
  if (reason === undefined) return { usable: true, inputSize: size }
  await rm(target, { force: true })
  return { usable: false, reason }
}

/** Runs both forms on a picture of coloured blocks; says how they differ, if they do. */
async function differs(
  entry: CatalogEntry, path: string, variant: string, size: ModelVariant['inputSize'],
): Promise<string | undefined> {
  const common: Omit<NativeSessionOptions, 'modelPaths' | 'family'> = {
    preprocessing: entry.preprocessing,
    inputSize: size,
    device: { kind: 'cpu', index: 0 },
    fallbackToCpu: false,
    intraOpThreads: 1,
    allowSpinning: false,
    concurrency: 1,
  }
  const image = { kind: 'raw' as const, data: testPicture(size), ...size, channels: 3, order: 'bgr' as const }
  // Low enough that an untrained eye's noise has boxes, high enough to leave few.
  const options = { scoreThreshold: 0.001, iouThreshold: 0.45, maxDetections: 20 }
  const [before, after] = await Promise.all([[path, 'yolov8'], [variant, 'yolov8-raw']].map(async ([file, family]) => {
    const session = await native.createSession({
      ...common, modelPaths: [file as string], family: family as 'yolov8' | 'yolov8-raw',
    })
    try {
      return await session.detect(image, options, 1)
    } finally {
      await session.close()
    }
  }))
  if (!before || !after || before.scores.length !== after.scores.length) return 'the variant finds other objects'
  for (let index = 0; index < before.scores.length; index += 1) {
    const difference = Math.abs((before.scores[index] as number) - (after.scores[index] as number))
    const boxes = [before, after].map(({ boxes: all }) => all.subarray(4 * index, 4 * index + 4))
    const iou = overlap(boxes[0] as Float32Array, boxes[1] as Float32Array)
    if (difference > MOST_SCORE_DIFFERENCE || iou < LEAST_IOU) {
      return `object ${index} differs: score by ${difference.toFixed(4)}, IoU ${iou.toFixed(4)}`
    }
  }
  return undefined
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
