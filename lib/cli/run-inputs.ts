/** What `edge-infer run` is given: pictures, directories of pictures, videos, or one picture on standard input. */
import { open, readdir, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { EdgeInferError } from '../errors.js'
import type { NativeImage } from '../native.js'
import { toNativeImage } from '../tasks/index.js'
import { isVideo } from '../video/index.js'

export const STANDARD_INPUT = '-'
export const PICTURE_TYPES: readonly string[] = ['.jpg', '.jpeg', '.png', '.webp', '.bmp']
const VIDEO_TYPES: readonly string[] = [
  '.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.ts', '.mts', '.mpg', '.mpeg', '.flv', '.wmv', '.h264', '.h265',
]
/** JPEG pictures one after the other: each begins as a picture does. */
const PICTURES_IN_A_ROW: readonly string[] = ['.mjpeg', '.mjpg']

const MAX_INPUT_BYTES = 256 * 2 ** 20

export interface Input {
  kind: 'picture' | 'video'
  /** Its path, or {@link STANDARD_INPUT}. */
  path: string
}

export interface Inputs {
  list: Input[]
  /** Whether there is one by nature, rather than a directory or a list that happens to hold one. */
  single: boolean
}

/** A file that cannot be read is listed as a picture: it is reported when its turn comes. */
export async function findInputs(paths: readonly string[]): Promise<Inputs> {
  const list: Input[] = []
  let single = paths.length === 1
  for (const path of paths) {
    if (path === STANDARD_INPUT) {
      checkStandardInput(paths)
      list.push({ kind: 'picture', path })
    } else if (await isDirectory(path)) {
      single = false
      list.push(...await picturesOf(path))
    } else {
      list.push({ kind: await kindOf(path), path })
    }
  }
  return { list, single }
}

/** The bytes of a picture. */
export async function readPicture({ path }: Input, autoOrient: boolean): Promise<NativeImage> {
  return toNativeImage(path === STANDARD_INPUT ? await readStandardInput() : path, { autoOrient })
}

export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isDirectory(), () => false)
}

/** In the order people number files: 2 before 10. */
export async function picturesOf(directory: string): Promise<Input[]> {
  const entries = await readdir(directory)
  const names = entries.filter((name) => PICTURE_TYPES.includes(extname(name).toLowerCase()))
  if (names.length === 0) {
    const message = `Expected pictures (${PICTURE_TYPES.join(', ')}) in ${directory} but there are none`
    throw new EdgeInferError('BAD_IMAGE', message)
  }
  return names.sort(new Intl.Collator('en', { numeric: true }).compare)
    .map((name) => ({ kind: 'picture', path: join(directory, name) }))
}

/** Of the files that begin as MP4 does, those that hold pictures (HEIC, AVIF): the decoder names them. */
const PICTURE_BRANDS: readonly string[] = ['heic', 'heix', 'heim', 'heis', 'hevc', 'mif1', 'msf1', 'avif', 'avis']

/** By what the file begins with; where that does not tell, by its name, or else by ffmpeg. */
async function kindOf(path: string): Promise<Input['kind']> {
  const type = extname(basename(path)).toLowerCase()
  if (PICTURES_IN_A_ROW.includes(type)) return 'video'
  return signatureOf(await readStart(path)) ??
    (VIDEO_TYPES.includes(type) || await isVideo(path) ? 'video' : 'picture')
}

function signatureOf(start: Buffer): Input['kind'] | undefined {
  const text = (from: number, to: number): string => start.toString('latin1', from, to)
  if (start.readUIntBE(0, 3) === 0xffd8ff || text(0, 4) === '\x89PNG' || text(0, 2) === 'BM') return 'picture'
  if (text(0, 4) === 'RIFF') return text(8, 12) === 'WEBP' ? 'picture' : 'video'
  if (text(4, 8) === 'ftyp') return PICTURE_BRANDS.includes(text(8, 12)) ? 'picture' : 'video'
  if (start.readUInt32BE(0) === 0x1a45dfa3 || text(0, 4) === 'GIF8') return 'video'
  return undefined
}

/** The first 16 bytes, zeros where the file is shorter or cannot be read. */
async function readStart(path: string): Promise<Buffer> {
  const start = Buffer.alloc(16)
  const file = await open(path).catch(() => undefined)
  try {
    await file?.read(start, 0, start.length, 0).catch(() => undefined)
  } finally {
    await file?.close()
  }
  return start
}

function checkStandardInput(paths: readonly string[]): void {
  if (paths.filter((path) => path === STANDARD_INPUT).length > 1) {
    throw new EdgeInferError('BAD_OPTION', 'Expected - (one picture on standard input) once but received it twice')
  }
  if (process.stdin.isTTY) {
    throw new EdgeInferError('BAD_IMAGE', 'Expected a picture on standard input but it is a terminal')
  }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_INPUT_BYTES) {
      throw new EdgeInferError('TOO_LARGE', `Expected a picture of at most ${MAX_INPUT_BYTES} bytes but received more`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
