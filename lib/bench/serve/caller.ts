/** Requests over kept-alive connections, loopback only; cheap ones, since the loader shares the server's cores. */
import { Pool, type Dispatcher } from 'undici'
import { EdgeInferError } from '../../errors.js'
import type { TaskName } from '../../tasks/index.js'
import type { RequestBody } from './body.js'

const ANSWER_TIMEOUT = 60_000
const ANSWER_SHOWN = 200
const LOOPBACK = /^(localhost|\[::1\]|127(\.\d+){3})$/

/** Milliseconds; `stages` are the worker's, from the answer's `server-timing`. */
export interface Call {
  total: number
  stages: Record<string, number>
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

  /** Resolves when the whole answer is there. @throws EdgeInferError NODE_UNREACHABLE, BAD_REPLY where refused. */
  async send(body: RequestBody): Promise<void> {
    await this.#exchange(body)
  }

  /** @throws as {@link send}. */
  async call(body: RequestBody): Promise<Call> {
    const begin = performance.now()
    const { timing } = await this.#exchange(body)
    return { total: performance.now() - begin, stages: parseServerTiming(timing) }
  }

  /** What a request is answered with. @throws as {@link send}. */
  async answer(body: RequestBody): Promise<Readonly<Record<string, unknown>>> {
    return JSON.parse((await this.#exchange(body)).text) as Record<string, unknown>
  }

  async #exchange({ contentType, bytes }: RequestBody): Promise<Reply> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      // `request()` would make a stream of each answer: half as much CPU again.
      this.#pool.dispatch(
        { method: 'POST', path: this.#path, headers: { 'content-type': contentType }, body: bytes },
        new Reply(resolve, reject))
    })
    if (reply.status === 200) return reply
    const answer = reply.text.slice(0, ANSWER_SHOWN)
    throw new EdgeInferError('BAD_REPLY', `Expected 200 but the server answered ${reply.status}: ${answer}`)
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }
}

class Reply implements Dispatcher.DispatchHandlers {
  status = 0
  timing = ''
  readonly #parts: Buffer[] = []
  readonly #resolve: (reply: Reply) => void
  readonly #reject: (error: EdgeInferError) => void

  constructor(resolve: (reply: Reply) => void, reject: (error: EdgeInferError) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString()
  }

  onConnect(): void {}

  /** `headers`: names and values in turn. */
  onHeaders(status: number, headers: Buffer[]): boolean {
    this.status = status
    const name = headers.findIndex((bytes, index) => index % 2 === 0 && isTiming(bytes))
    if (name >= 0) this.timing = String(headers[name + 1])
    return true
  }

  onData(part: Buffer): boolean {
    this.#parts.push(part)
    return true
  }

  onComplete(): void {
    this.#resolve(this)
  }

  onError(cause: Error): void {
    this.#reject(new EdgeInferError('NODE_UNREACHABLE', `The server did not answer: ${cause.message}`, { cause }))
  }
}

function isTiming(name: Buffer): boolean {
  return name.toString('latin1').toLowerCase() === 'server-timing'
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
