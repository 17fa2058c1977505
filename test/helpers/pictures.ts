/** Pictures of the tests: the sample photographs that the set-up fetches, and what is cut out of them. */
import { readFileSync } from 'node:fs'
import { resolveSample } from '../../lib/models/index.js'
import { native } from '../../lib/native.js'
import { VideoWriter } from '../../lib/video/index.js'

export const samplePath = (name: 'faces' | 'car'): Promise<string> => resolveSample(name, { download: false })

export async function sample(name: 'faces' | 'car'): Promise<Buffer> {
  return readFileSync(await samplePath(name))
}

interface Pixels {
  data: Buffer
  width: number
  height: number
}

/** Pixels of a picture file, BGR, row by row. */
export async function pixelsOf(file: Uint8Array, width: number): Promise<Pixels> {
  const data = await native.annotate({ kind: 'encoded', data: file }, [], 'raw')
  return { data, width, height: data.length / width / 3 }
}

export function jpegOf({ data, width, height }: Pixels): Promise<Buffer> {
  return native.annotate({ kind: 'raw', data, width, height, channels: 3, order: 'bgr' }, [], '.jpg', 95)
}

/** The same JPEG file with EXIF data that say how the camera was held: 1 (upright) to 8. */
export function withOrientation(file: Buffer, orientation: number): Buffer {
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]
  const exif = [...Buffer.from('Exif\0\0'), ...tiff]
  return Buffer.concat([file.subarray(0, 2), Buffer.from([0xff, 0xe1, 0, exif.length + 2, ...exif]), file.subarray(2)])
}

/** A rectangle of a picture. */
export function cut(picture: Pixels, x: number, y: number, width: number, height: number): Pixels {
  const rows = Array.from({ length: height }, (_, row) => {
    const start = ((y + row) * picture.width + x) * 3
    return picture.data.subarray(start, start + width * 3)
  })
  return { data: Buffer.concat(rows), width, height }
}

/** Pictures of one width, one below the other. */
function stacked(...pictures: readonly Pixels[]): Pixels {
  const height = pictures.reduce((sum, picture) => sum + picture.height, 0)
  return { data: Buffer.concat(pictures.map(({ data }) => data)), width: pictures[0]?.width ?? 0, height }
}

const staircase = await pixelsOf(await sample('faces'), 1920)

/** Four people; 1280 × 720 pixels. */
export const people = await jpegOf(cut(staircase, 560, 0, 1280, 720))

/** One of them, with one face; 450 × 450 pixels. */
export const face = await jpegOf(cut(staircase, 650, 0, 450, 450))

/** A car above and people below; 1024 × 1380 pixels. */
const car = await pixelsOf(await sample('car'), 1024)
export const street = await jpegOf(stacked(car, cut(staircase, 560, 0, 1024, 700)))

/** A video of 640 × 360 pixels, 25 frames a second: the view moves over two of the people, back and forth. */
export async function writeVideo(path: string, frames: number): Promise<string> {
  const writer = await VideoWriter.open(path, { width: 640, height: 360, framesPerSecond: 25 })
  for (let frame = 0; frame < frames; frame++) {
    const x = 640 + Math.abs(frame % 300 - 150)
    await writer.write(cut(staircase, x, 100, 640, 360).data, 40 * frame)
  }
  await writer.close()
  return path
}
