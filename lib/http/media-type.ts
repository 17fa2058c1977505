/** What a body is, by its headers and, where callers leave those out, by its first byte. */
import type { IncomingHttpHeaders } from 'node:http'
import { EdgeInferError } from '../errors.js'

export type BodyKind = 'json' | 'image' | 'multipart' | 'unnamed'

export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/bmp'] as const

const IMAGE_SPELLINGS: ReadonlySet<string> = new Set([...IMAGE_TYPES, 'image/jpg', 'image/x-ms-bmp'])

/** What HTTP libraries write when their caller names no type. */
const UNNAMED: ReadonlySet<string> = new Set(['', 'application/x-www-form-urlencoded', 'text/plain', 'application/octet-stream'])

/** @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE. */
export function bodyKind(headers: IncomingHttpHeaders): BodyKind {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (encoding && encoding !== 'identity') {
    throw new EdgeInferError('UNSUPPORTED_MEDIA_TYPE', `Expected a body without content encoding but received ${encoding}`)
  }
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (/^[\w.+-]+\/([\w.+-]+\+|x-)?json$/.test(type)) return 'json'
  if (IMAGE_SPELLINGS.has(type)) return 'image'
  if (type === 'multipart/form-data') return 'multipart'
  if (UNNAMED.has(type)) return 'unnamed'
  throw unsupported(type)
}

/** @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE unless the body begins as a JSON object does. */
export function requireJsonLook(body: Uint8Array, headers: IncomingHttpHeaders): void {
  const first = body.find((byte) => byte > 0x20)
  if (first !== undefined && first !== 0x7b) throw unsupported(headers['content-type'] ?? 'none')
}

function unsupported(type: string): EdgeInferError {
  const expected = `application/json, ${IMAGE_TYPES.join(', ')} or multipart/form-data`
  return new EdgeInferError('UNSUPPORTED_MEDIA_TYPE', `Expected a content type of ${expected} but received ${type}`)
}
