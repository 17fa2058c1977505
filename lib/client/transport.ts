/** HTTP to one node, and failures as errors of the error table. */
import { platform } from '#client/platform'
import { EdgeInferError } from '../errors.js'
import type { Deadline } from './deadline.js'
import { checkUrl, type ConnectionSettings } from './options.js'
import type { Connections } from './platform.js'
import { isRefusal, parseReply, refusal, type Reply } from './reply.js'

export interface WireRequest {
  method: 'GET' | 'POST'
  /** Below the node's URL, with its query string. */
  path: string
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array | undefined
  /** Statuses that are answers of the route, not errors. */
  accept?: readonly number[]
}

const MIN_BACKOFF_MS = 50
const MAX_BACKOFF_MS = 2000

export class Transport {
  /** Without a trailing slash. */
  readonly url: string
  readonly hostname: string
  readonly #prefix: string
  readonly #connections: Connections
  readonly #headers: Readonly<Record<string, string>>

  constructor(url: string | URL, settings: ConnectionSettings) {
    const { origin, pathname, hostname } = checkUrl(url)
    this.#prefix = pathname.replace(/\/+$/, '')
    this.url = origin + this.#prefix
    this.hostname = hostname.replace(/^\[|\]$/g, '')
    this.#headers = settings.token === undefined ? {} : { authorization: `Bearer ${settings.token}` }
    this.#connections = platform.connect(origin, settings)
  }

  /**
   * One request, one reply.
   * @throws EdgeInferError the node's own error, or NODE_UNREACHABLE, BAD_REPLY, TIMEOUT, ABORTED, CLOSED.
   */
  async send(request: WireRequest, deadline: Deadline): Promise<Reply> {
    if (deadline.passed) throw deadline.error
    return platform.traced(request.method, this.url + request.path, (headers) =>
      this.#send({ ...request, headers: { ...headers, ...request.headers } }, deadline))
  }

  async #send({ method, path, headers, body, accept = [] }: WireRequest, deadline: Deadline): Promise<Reply> {
    const url = this.url + path
    const begin = performance.now()
    try {
      const { status, text, contentType, retryAfter } = await this.#connections.request({
        method, path: this.#prefix + path, headers: { ...this.#headers, ...headers }, body, signal: deadline.signal,
      })
      const seconds = (performance.now() - begin) / 1000
      const parsed = parseReply(url, status, contentType, text)
      if (!accept.includes(status) && isRefusal(status, parsed)) throw refusal(url, status, parsed, retryAfter)
      return { status, body: parsed, seconds }
    } catch (error) {
      if (error instanceof EdgeInferError && error !== deadline.signal.reason) throw error
      throw deadline.passed ? at(this.url, deadline.error) : connectionError(this.url, error)
    }
  }

  /** Tries again after connection errors and QUEUE_FULL: only for requests that may be done twice. */
  async sendWithRetry(request: WireRequest, deadline: Deadline, retries: number): Promise<Reply> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.send(request, deadline)
      } catch (error) {
        const delay = retryDelay(error, attempt)
        if (delay === undefined || attempt >= retries || delay >= deadline.remainingMs) throw error
        await deadline.sleep(delay)
      }
    }
  }

  /** Resolves when the requests under way have ended. */
  close(): Promise<void> {
    return this.#connections.close()
  }
}

/** Milliseconds until a call that failed like this may be tried again; undefined when it must not. */
export function retryDelay(error: unknown, attempt: number): number | undefined {
  if (!(error instanceof EdgeInferError)) return undefined
  if (error.code !== 'NODE_UNREACHABLE' && error.code !== 'QUEUE_FULL') return undefined
  const asked = error.details?.retryAfterSeconds
  if (typeof asked === 'number') return asked * 1000
  return Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** attempt) * (0.5 + Math.random() / 2)
}

function at(url: string, error: EdgeInferError): EdgeInferError {
  return new EdgeInferError(error.code, `${error.message} (${url})`, { cause: error.cause, details: { url } })
}

function connectionError(url: string, cause: unknown): EdgeInferError {
  const { code } = cause as { code?: unknown }
  const details = { url, ...(typeof code === 'string' && { reason: code }) }
  return new EdgeInferError('NODE_UNREACHABLE', `No answer from ${url}: ${reasonOf(cause)}`, { cause, details })
}

/** Node gives several failed addresses as one error without a message. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ')
  return cause instanceof Error ? cause.message : String(cause)
}
