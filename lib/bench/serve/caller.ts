/** One request after the other over kept-alive connections, loopback only. */
import { Pool } from 'undici'
import { EdgeInferError } from '../../errors.js'
import type { TaskName } from '../../models/index.js'
import type { RequestBody } from './body.js'

const ANSWER_TIMEOUT = 60_000
const ANSWER_SHOWN = 200
const LOOPBACK = /^(localhost|\[::1\]|127(\.\d+){3})$/

/** Milliseconds; `stages` are the worker's, from the answer's `server-timing`. */
export interface Call {
  total: number
  stages: Record<string, number>
}

interface Exchange {
  /** Milliseconds. */
  total: number
  text: string
  timing: string
}

export class Caller {
  readonly #pool: Pool
  readonly #path: string

  /** @throws EdgeInferError BAD_OPTION where the URL leads off this machine. */
  constructor(url: string, task: TaskName, connections: number) {
    const { origin, pathname } = loopbackUrl(url)
    this.#pool = new Pool(origin, {
      connections, pipelining: 1, headersTimeout: ANSWER_TIMEOUT, bodyTimeout: ANSWER_TIMEOUT,
    })
    this.#path = `${pathname.replace(/\/$/, '')}/execute_task_old/${task}`
  }

  /** @throws EdgeInferError NODE_UNREACHABLE, BAD_REPLY where it is refused. */
  async call(body: RequestBody): Promise<Call> {
    const { total, timing } = await this.#exchange(body)
    return { total, stages: parseServerTiming(timing) }
  }

  /** What a request is answered with. @throws as {@link call}. */
  async answer(body: RequestBody): Promise<Readonly<Record<string, unknown>>> {
    return JSON.parse((await this.#exchange(body)).text) as Record<string, unknown>
  }

  async #exchange({ contentType, bytes }: RequestBody): Promise<Exchange> {
    const begin = performance.now()
    let reply
    let text
    try {
      reply = await this.#pool.request({
        method: 'POST', path: this.#path, headers: { 'content-type': contentType }, body: bytes,
      })
      text = await reply.body.text()
    } catch (cause) {
      throw new EdgeInferError('NODE_UNREACHABLE', `The server did not answer: ${(cause as Error).message}`, { cause })
    }
    const total = performance.now() - begin
    if (reply.statusCode !== 200) {
      const answer = text.slice(0, ANSWER_SHOWN)
      throw new EdgeInferError('BAD_REPLY', `Expected 200 but the server answered ${reply.statusCode}: ${answer}`)
    }
    return { total, text, timing: String(reply.headers['server-timing'] ?? '') }
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }
}

function loopbackUrl(url: string): URL {
  let parsed: URL | undefined
  try {
    parsed = new URL(url)
  } catch {}
  if (parsed?.protocol === 'http:' && LOOPBACK.test(parsed.hostname)) return parsed
  throw new EdgeInferError('BAD_OPTION', `Expected --url to be http:// on the loopback interface but received "${url}"`)
}

/** `decode;dur=1.23, inference;dur=4.56` */
function parseServerTiming(header: string): Record<string, number> {
  return Object.fromEntries([...header.matchAll(/(\w+);dur=([\d.]+)/g)]
    .map(([, stage, duration]) => [stage as string, Number(duration)]))
}
