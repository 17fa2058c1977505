/** A frame as cameras send it: 1280×720, a JPEG of about 100 kB. */
import { native, type NativeImage } from '../../native.js'
import { toNativeImage, type Detector } from '../../tasks/index.js'

export const FRAME = { width: 1280, height: 720, bytes: 100_000 } as const

export interface Frame {
  jpeg: Buffer
  /** BGR, rows without padding. */
  pixels: Buffer
}

/** The picture cut to 16:9, brought to the frame's size, and compressed to its bytes. */
export async function makeFrame(path: string, detector: Detector): Promise<Frame> {
  const image = await toNativeImage(path)
  const { width, height } = await detector.run(image)
  const pixels = scaleToFrame(await native.annotate(image, [], 'raw'), width, height)
  const raw: NativeImage = {
    kind: 'raw', data: pixels, width: FRAME.width, height: FRAME.height, channels: 3, order: 'bgr',
  }
  let jpeg = await native.annotate(raw, [], '.jpg', 1)
  for (let [low, high] = [1, 100]; high - low > 1;) {
    const quality = (low + high) >> 1
    const candidate = await native.annotate(raw, [], '.jpg', quality)
    if (candidate.length > FRAME.bytes) {
      high = quality
    } else {
      low = quality
      jpeg = candidate
    }
  }
  return { jpeg, pixels: await native.annotate({ kind: 'encoded', data: jpeg }, [], 'raw') }
}

/** Bilinear; the middle of the picture where it is not 16:9. */
function scaleToFrame(from: Buffer, width: number, height: number): Buffer {
  if (width === FRAME.width && height === FRAME.height) return from
  const scale = Math.min(width / FRAME.width, height / FRAME.height)
  const [left, top] = [(width - FRAME.width * scale) / 2, (height - FRAME.height * scale) / 2]
  const to = Buffer.alloc(FRAME.width * FRAME.height * 3)
  for (let y = 0; y < FRAME.height; y++) {
    const [y0, y1, dy] = neighbours(top + (y + 0.5) * scale - 0.5, height)
    for (let x = 0; x < FRAME.width; x++) {
      const [x0, x1, dx] = neighbours(left + (x + 0.5) * scale - 0.5, width)
      for (let channel = 0; channel < 3; channel++) {
        const at = (row: number, column: number): number => from[(row * width + column) * 3 + channel] as number
        const upper = at(y0, x0) * (1 - dx) + at(y0, x1) * dx
        const lower = at(y1, x0) * (1 - dx) + at(y1, x1) * dx
        to[(y * FRAME.width + x) * 3 + channel] = upper * (1 - dy) + lower * dy + 0.5
      }
    }
  }
  return to
}

function neighbours(place: number, size: number): [low: number, high: number, fraction: number] {
  const inside = Math.min(Math.max(place, 0), size - 1)
  const low = Math.floor(inside)
  return [low, Math.min(low + 1, size - 1), inside - low]
}
