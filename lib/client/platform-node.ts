/** Node.js: undici's pool of kept-alive connections, files, and spans of OpenTelemetry. */
import { readFile } from 'node:fs/promises'
import { errors, Pool } from 'undici'
import { EdgeInferError } from '../errors.js'
import type { ConnectionSettings } from './options.js'
import type { Connections, HttpReply, HttpRequest, Platform } from './platform.js'
import { traced } from './tracing.js'

export const platform: Platform = {
  connect: (origin, settings) => new UndiciConnections(origin, settings),
  readFile: (path) => readFile(path),
  decodeBase64: (text) => Buffer.from(text, 'base64'),
  encodeBase64: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  decodeLatin1: (text) => Buffer.from(text, 'latin1'),
  traced,
}

class UndiciConnections implements Connections {
  readonly #origin: string
  readonly #pool: Pool

  constructor(origin: string, { tls, connections, maxReplyBytes, connectTimeoutMs }: ConnectionSettings) {
    this.#origin = origin
    this.#pool = new Pool(origin, {
      connections,
      // The deadline of the call is the only one.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: maxReplyBytes,
      connect: { ...tls, timeout: connectTimeoutMs },
    })
  }

  async request({ body, ...request }: HttpRequest): Promise<HttpReply> {
    try {
      const { statusCode, headers, body: reply } = await this.#pool.request({ ...request, body: body ?? null })
      return {
        status: statusCode,
        text: await reply.text(),
        contentType: first(headers['content-type']),
        retryAfter: first(headers['retry-after']),
      }
    } catch (error) {
      throw this.#translated(error)
    }
  }

  async close(): Promise<void> {
    if (!this.#pool.closed && !this.#pool.destroyed) await this.#pool.close()
  }

  #translated(cause: unknown): unknown {
    const details = { url: this.#origin, reason: (cause as { code?: unknown }).code }
    if (cause instanceof errors.ClientClosedError || cause instanceof errors.ClientDestroyedError) {
      return new EdgeInferError('CLOSED', 'This client has been closed', { cause, details })
    }
    if (cause instanceof errors.ResponseExceededMaxSizeError) {
      const message = `The reply of ${this.#origin} is larger than maxReplyBytes`
      return new EdgeInferError('BAD_REPLY', message, { cause, details })
    }
    if (cause instanceof errors.HTTPParserError) {
      const message = `${this.#origin} does not answer in HTTP: ${cause.message}`
      return new EdgeInferError('BAD_REPLY', message, { cause, details })
    }
    return cause
  }
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
