/** Small JSON requests between nodes, bounded in time and size: a node that hangs or floods harms nobody. */
import { Agent, request } from 'undici'

/** The largest answer of another node that is read. */
const MOST_BYTES = 1 << 20

export interface PeerAnswer {
  status: number
  /** Undefined when the answer was no JSON. */
  body: unknown
}

export interface PeerOptions {
  /** PEM certificates of authorities to trust, beside the system's. */
  ca?: string | undefined
  timeoutMs: number
}

export class PeerClient {
  readonly #agent: Agent
  readonly #timeoutMs: number

  constructor({ ca, timeoutMs }: PeerOptions) {
    this.#timeoutMs = timeoutMs
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, ...(ca !== undefined && { ca }) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      keepAliveTimeout: 30_000,
    })
  }

  async get(url: string): Promise<PeerAnswer> {
    return this.#send(url, 'GET', {}, undefined)
  }

  async post(url: string, body: unknown, token: string | undefined): Promise<PeerAnswer> {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    return this.#send(url, 'POST', headers, JSON.stringify(body))
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #send(
    url: string, method: 'GET' | 'POST', headers: Record<string, string>, body: string | undefined,
  ): Promise<PeerAnswer> {
    const signal = AbortSignal.timeout(this.#timeoutMs)
    const answer = await request(url, {
      method, headers, body: body ?? null, signal, dispatcher: this.#agent,
    })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of answer.body) {
      size += (chunk as Buffer).length
      if (size > MOST_BYTES) {
        answer.body.destroy()
        throw new Error(`the answer is larger than ${MOST_BYTES} bytes`)
      }
      chunks.push(chunk as Buffer)
    }
    return { status: answer.statusCode, body: parsed(Buffer.concat(chunks).toString()) }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
