/** Pictures as callers pass them, and as they are sent. */
import { platform } from '#client/platform'
import { EdgeInferError } from '../errors.js'
import type { MatLike, RawImage } from '../inference/image.js'
import { encodeBmp } from './bmp.js'

export type { MatLike, RawImage }

/**
 * - bytes of a JPEG, PNG, WebP or BMP file, or a Blob or File of them;
 * - `{ path }` or a `file:` URL of such a file, in Node.js;
 * - a string of the interface, sent as it is: base64, a data URL, or a Python bytes literal (`b'\xff\xd8…'`), as the
 *   `faces` of an answer are. A string is never taken for a path;
 * - raw 8-bit pixels or an opencv4nodejs Mat, sent as a BMP: lossless, but many times the size of a JPEG.
 */
export type ClientImage = Uint8Array | Blob | { path: string } | URL | string | RawImage | MatLike

const ACCEPTED =
  'the bytes of a JPEG, PNG, WebP or BMP file, {path}, a base64 string, {data, width, height, channels} or a Mat'

/** The bytes of an image file, or its text in an encoding of the interface. */
export async function resolveImage(image: ClientImage, name: string): Promise<Uint8Array | string> {
  if (typeof image === 'string') return checkText(image, name)
  if (image instanceof Uint8Array) return checkFile(image, name)
  if (image instanceof Blob) return checkFile(new Uint8Array(await image.arrayBuffer()), name)
  if (image instanceof URL) return checkFile(await readImage(image, name), name)
  if (typeof image === 'object' && image !== null) {
    if ('path' in image && typeof image.path === 'string') return checkFile(await readImage(image.path, name), name)
    if ('getData' in image && typeof image.getData === 'function') {
      const { rows, cols, channels } = image
      return encodeBmp({ data: image.getData(), width: cols, height: rows, channels, order: 'bgr' }, name)
    }
    if ('data' in image && image.data instanceof Uint8Array) return encodeBmp(image, name)
  }
  throw badImage(name, ACCEPTED, typeof image)
}

function checkText(text: string, name: string): string {
  if (text === '') throw badImage(name, ACCEPTED, 'an empty string')
  if (text.length < 4096 && /\.(jpe?g|png|webp|bmp)$/i.test(text)) {
    throw badImage(name, `${ACCEPTED} (a file is named by {path: ${JSON.stringify(text)}})`, 'what looks like a path')
  }
  return text
}

function checkFile(file: Uint8Array, name: string): Uint8Array {
  if (imageType(file) === undefined) throw badImage(name, 'a JPEG, PNG, WebP or BMP file', `${file.length} other bytes`)
  return file
}

async function readImage(path: string | URL, name: string): Promise<Uint8Array> {
  try {
    return await platform.readFile(path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new EdgeInferError('BAD_IMAGE', `Expected ${name} to name a file that can be read: ${reason}`, { cause })
  }
}

function badImage(name: string, expected: string, received: string): EdgeInferError {
  return new EdgeInferError('BAD_IMAGE', `Expected ${name} to be ${expected} but received ${received}`)
}

/** The media type of an image file, by its first bytes; undefined for any other file. */
export function imageType(file: Uint8Array): string | undefined {
  if (file.length < 12) return undefined
  const begin = String.fromCharCode(...file.subarray(0, 12))
  if (begin.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  if (begin.startsWith('\x89PNG')) return 'image/png'
  if (begin.startsWith('BM')) return 'image/bmp'
  return begin.startsWith('RIFF') && begin.endsWith('WEBP') ? 'image/webp' : undefined
}

/**
 * The image file inside a string of an answer (`faces`, `image`), in any encoding: base64, data URL, Python bytes
 * literal, or one character a byte. In Node.js it is a Buffer.
 * @throws EdgeInferError BAD_IMAGE.
 */
export function decodeImage(text: string): Uint8Array {
  const file = fromText(text)
  if (imageType(file) !== undefined) return file
  throw badImage('the string', 'a JPEG, PNG, WebP or BMP file in base64, as a data URL or as a bytes literal',
    `a string of ${text.length} characters`)
}

function fromText(text: string): Uint8Array {
  if (/^b['"]/.test(text)) return platform.decodeLatin1(unescapeLiteral(text.slice(2, -1)))
  if (text.startsWith('data:')) return platform.decodeBase64(text.slice(text.indexOf(',') + 1))
  const isPlain = imageType(platform.decodeLatin1(text.slice(0, 12))) !== undefined
  return isPlain ? platform.decodeLatin1(text) : platform.decodeBase64(text)
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' }

function unescapeLiteral(text: string): string {
  return text.replace(/\\(?:x([0-9a-f]{2})|([^]))/gi, (whole, hex: string | undefined, character: string) => {
    const byte = hex === undefined ? ESCAPES[character] : String.fromCharCode(Number.parseInt(hex, 16))
    if (byte === undefined) throw badImage('the string', 'a Python bytes literal', `one with the escape ${whole}`)
    return byte
  })
}

const LITERAL = Array.from({ length: 256 }, (_, byte) => {
  const named = { 9: '\\t', 10: '\\n', 13: '\\r', 39: "\\'", 92: '\\\\' }[byte]
  if (named !== undefined) return named
  return byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
})

/** The text of a Python bytes literal. */
export function encodeBytesLiteral(file: Uint8Array): string {
  let text = "b'"
  for (const byte of file) text += LITERAL[byte]
  return `${text}'`
}
