/** Images of an answer, in the encoding the request's came in. */
import { native, type ImageEncoding } from '../native.js'

/** `file`: the bytes of an image file. Forms that have no text (a raw body, a nested list) are answered in base64. */
export function encodeImage(file: Buffer, encoding: ImageEncoding): string {
  switch (encoding) {
    case 'bytes-literal': return native.encodeBytesLiteral(file)
    case 'latin1': return file.toString('latin1')
    case 'data-url': return `data:image/jpeg;base64,${file.toString('base64')}`
    default: return file.toString('base64')
  }
}
