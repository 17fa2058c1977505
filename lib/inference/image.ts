/** Every kind of image the library takes, as the addon takes it. */
import { readFile } from 'node:fs/promises'
import { EdgeInferError } from '../errors.js'
import type { ChannelOrder, NativeImage } from '../native.js'
import { refuse } from './options.js'

/** 8-bit pixels, rows without padding. */
export interface RawImage {
  data: Uint8Array
  width: number
  height: number
  /** 1 (grey), 3, or 4 (alpha is dropped). */
  channels: number
  /** Order of the colours; `rgb` unless said otherwise, as sharp and canvas give them. */
  order?: ChannelOrder
}

/** What opencv4nodejs calls a Mat (8-bit, BGR). */
export interface MatLike {
  rows: number
  cols: number
  channels: number
  getData(): Uint8Array
}

/**
 * A file's bytes (JPEG, PNG, WebP, BMP), a path, raw pixels, an opencv4nodejs Mat, or what the addon itself takes (also
 * the text of one JSON value in any wire form of the HTTP interface).
 * Bytes are read, not copied: leave them alone until the call has settled.
 */
export type ImageInput = string | Uint8Array | RawImage | MatLike | NativeImage

const ACCEPTED = 'a Buffer of a JPEG, PNG, WebP or BMP file, a path, {data, width, height, channels}, or a Mat'

/** Photographs are stored as the camera was held; frames of a stream are not. */
export interface OrientationOptions {
  /**
   * Turn the picture of a file as its EXIF orientation says, so that boxes are in the upright picture; true unless said
   * otherwise. Of no concern to raw pixels.
   */
  autoOrient?: boolean | undefined
}

/**
 * What the addon takes says itself whether it is to be turned, where it does.
 * @throws EdgeInferError BAD_IMAGE for what is no image, or a file that cannot be read.
 */
export async function toNativeImage(
  input: ImageInput, { autoOrient = true }: OrientationOptions = {},
): Promise<NativeImage> {
  if (typeof input === 'string') return { kind: 'encoded', data: await readImageFile(input), autoOrient }
  if (input instanceof Uint8Array) return { kind: 'encoded', data: input, autoOrient }
  if (typeof input !== 'object' || input === null) refuse('image', ACCEPTED, input, 'BAD_IMAGE')
  if ('kind' in input && input.kind !== 'raw') return { autoOrient, ...input }
  if ('getData' in input && typeof input.getData === 'function') {
    const { rows, cols, channels } = input
    return raw(input.getData(), cols, rows, channels, 'bgr')
  }
  if ('data' in input && input.data instanceof Uint8Array) {
    return raw(input.data, input.width, input.height, input.channels, input.order ?? 'rgb')
  }
  return refuse('image', ACCEPTED, input, 'BAD_IMAGE')
}

function raw(data: Uint8Array, width: number, height: number, channels: number, order: ChannelOrder): NativeImage {
  for (const [name, value] of Object.entries({ width, height, channels })) {
    if (!Number.isInteger(value) || value < 1 || value > 0x7fff_ffff) {
      refuse(`the image's ${name}`, 'a whole number from 1', value, 'BAD_IMAGE')
    }
  }
  if (order !== 'rgb' && order !== 'bgr') refuse("the image's order", '"rgb" or "bgr"', order, 'BAD_IMAGE')
  return { kind: 'raw', data, width, height, channels, order }
}

async function readImageFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new EdgeInferError('BAD_IMAGE', `Expected the path of an image file but ${path} cannot be read: ${reason}`, {
      cause,
    })
  }
}
