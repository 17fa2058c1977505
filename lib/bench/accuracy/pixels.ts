/** Pictures made out of pictures, as JPEG files: at another size, or several side by side. */
import { EdgeInferError } from '../../errors.js'
import { native } from '../../native.js'

/** 8-bit BGR, rows without padding. */
export interface Pixels {
  data: Uint8Array
  width: number
  height: number
}

/** High enough that what a second compression loses does not show. */
const JPEG_QUALITY = 98
const BORDER_GREY = 114

/** `size` is the picture's own, pixels. */
export async function decodePixels(file: Uint8Array, size: { width: number; height: number }): Promise<Pixels> {
  const data = await native.annotate({ kind: 'encoded', data: file, autoOrient: true }, [], 'raw')
  if (data.length !== size.width * size.height * 3) {
    const message = `Expected a picture of ${size.width}x${size.height} but it has ${data.length / 3} pixels`
    throw new EdgeInferError('BAD_IMAGE', message)
  }
  return { data, ...size }
}

export function encodePixels({ data, width, height }: Pixels): Promise<Buffer> {
  return native.annotate({ kind: 'raw', data, width, height, channels: 3, order: 'bgr' }, [], '.jpg', JPEG_QUALITY)
}

/** Bilinear, for ratios up to 2. */
export function resizePixels(source: Pixels, width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3)
  const columns = samplePoints(source.width, width)
  for (const [y, row] of samplePoints(source.height, height).entries()) {
    for (const [x, column] of columns.entries()) {
      for (let channel = 0; channel < 3; channel++) {
        const at = (r: number, c: number): number => source.data[(r * source.width + c) * 3 + channel] as number
        const upper = at(row.low, column.low) * (1 - column.weight) + at(row.low, column.high) * column.weight
        const lower = at(row.high, column.low) * (1 - column.weight) + at(row.high, column.high) * column.weight
        data[(y * width + x) * 3 + channel] = Math.round(upper * (1 - row.weight) + lower * row.weight)
      }
    }
  }
  return { data, width, height }
}

function samplePoints(length: number, target: number): Array<{ low: number; high: number; weight: number }> {
  return Array.from({ length: target }, (_, index) => {
    const position = Math.min(Math.max(((index + 0.5) * length) / target - 0.5, 0), length - 1)
    const low = Math.floor(position)
    return { low, high: Math.min(low + 1, length - 1), weight: position - low }
  })
}

/** Up to four pictures in a 2×2 grid on grey, with the place of each one's top left corner. */
export function tilePixels(tiles: readonly Pixels[]): Pixels & { places: Array<{ x: number; y: number }> } {
  const cell = {
    width: Math.max(...tiles.map((tile) => tile.width)), height: Math.max(...tiles.map((tile) => tile.height)),
  }
  const width = 2 * cell.width
  const height = 2 * cell.height
  const data = new Uint8Array(width * height * 3).fill(BORDER_GREY)
  const places = tiles.map((tile, index) => {
    const place = { x: (index % 2) * cell.width, y: Math.floor(index / 2) * cell.height }
    for (let row = 0; row < tile.height; row++) {
      const begin = row * tile.width * 3
      data.set(tile.data.subarray(begin, begin + tile.width * 3), ((place.y + row) * width + place.x) * 3)
    }
    return place
  })
  return { data, width, height, places }
}
