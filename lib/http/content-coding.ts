/** Compressed bodies (`Content-Encoding`), of requests and of answers. */
import type { IncomingHttpHeaders } from 'node:http'
import { promisify } from 'node:util'
import { createUnzip, deflate, gzip, type Unzip } from 'node:zlib'
import type { FastifyReply } from 'fastify'
import { EdgeInferError } from '../errors.js'

export const CONTENT_CODINGS = ['gzip', 'deflate'] as const
export type ContentCoding = (typeof CONTENT_CODINGS)[number]

const COMPRESS = { gzip: promisify(gzip), deflate: promisify(deflate) } as const

const PIECE_BYTES = 64 * 1024

/**
 * How the body is compressed; undefined: it is not.
 * @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE; BAD_REQUEST where it is compressed for the connection.
 */
export function contentCoding(headers: IncomingHttpHeaders): ContentCoding | undefined {
  const { 'transfer-encoding': transfer = 'chunked' } = headers
  if (transfer.trim().toLowerCase() !== 'chunked') {
    const message = `Expected Transfer-Encoding: chunked, or none, but received ${transfer.slice(0, 60)}; ` +
      'the header for compressed bodies is Content-Encoding'
    throw new EdgeInferError('BAD_REQUEST', message)
  }
  const sent = headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (sent === '' || sent === 'identity') return undefined
  const coding = CONTENT_CODINGS.find((known) => known === sent || `x-${known}` === sent)
  if (coding) return coding
  throw new EdgeInferError(
    'UNSUPPORTED_MEDIA_TYPE',
    `Expected a content encoding of ${CONTENT_CODINGS.join(' or ')}, or none, but received ${sent.slice(0, 60)}`,
  )
}

/** Undoes either coding: the stream says which it is. It works off the JavaScript thread. */
export function createDecoder(): Unzip {
  return createUnzip({ chunkSize: PIECE_BYTES })
}

/** @param reason of the decoder. */
export function damaged(coding: ContentCoding, reason: string): EdgeInferError {
  return new EdgeInferError('BAD_REQUEST', `Expected a body in ${coding} but it cannot be unpacked: ${reason}`)
}

/** Sends the body, compressed where the caller asks for that. */
export async function sendCompressed(
  reply: FastifyReply, accepted: string | string[] | undefined, body: Buffer,
): Promise<FastifyReply> {
  reply.header('vary', 'accept-encoding')
  const coding = preferredCoding(String(accepted ?? ''))
  if (!coding) return reply.send(body)
  return reply.header('content-encoding', coding).send(await COMPRESS[coding](body))
}

/** Of an `Accept-Encoding`: the coding with the largest weight, the first of equals; undefined: none. */
function preferredCoding(accepted: string): ContentCoding | undefined {
  let best: ContentCoding | undefined
  let most = 0
  for (const entry of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = entry.split(';').map((part) => part.trim())
    const coding = CONTENT_CODINGS.find((known) => known === name)
    const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    if (!coding || !(weight > most)) continue
    best = coding
    most = weight
  }
  return best
}
