/** Raw pixels as a BMP file: what a caller without an encoder can send. */
import { EdgeInferError } from '../errors.js'
import type { RawImage } from '../inference/image.js'

const HEADER_BYTES = 54

/** 24-bit, rows from the top. Grey is spread over the three channels, alpha is dropped. */
export function encodeBmp({ data, width, height, channels, order = 'rgb' }: RawImage, name: string): Uint8Array {
  const valid = isSize(width) && isSize(height) && [1, 3, 4].includes(channels)
  if (!valid || data.length !== width * height * channels) {
    const received = `${width} × ${height} × ${channels} with ${data.length} bytes`
    throw new EdgeInferError(
      'BAD_IMAGE', `Expected ${name} to be width × height × channels (1, 3 or 4) 8-bit pixels but received ${received}`,
    )
  }
  const stride = Math.ceil(width * 3 / 4) * 4
  const file = new Uint8Array(HEADER_BYTES + stride * height)
  const header = new DataView(file.buffer)
  header.setUint16(0, 0x424d)
  header.setUint32(2, file.length, true)
  header.setUint32(10, HEADER_BYTES, true)
  header.setUint32(14, 40, true)
  header.setInt32(18, width, true)
  header.setInt32(22, -height, true)
  header.setUint16(26, 1, true)
  header.setUint16(28, 24, true)
  const [blue, green, red] = channels === 1 ? [0, 0, 0] : order === 'bgr' ? [0, 1, 2] : [2, 1, 0]
  for (let row = 0, from = 0; row < height; row++) {
    let to = HEADER_BYTES + row * stride
    for (let column = 0; column < width; column++, from += channels) {
      file[to++] = data[from + blue] as number
      file[to++] = data[from + green] as number
      file[to++] = data[from + red] as number
    }
  }
  return file
}

function isSize(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value < 1 << 16
}
