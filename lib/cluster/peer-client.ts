/** Small JSON requests between nodes, limited in time and size. */
import { rootCertificates } from 'node:tls'
import { Agent, request } from 'undici'

export interface PeerAnswer {
  status: number
  /** Undefined when the answer was no JSON. */
  body: unknown
}

export interface PeerOptions {
  /** PEM certificates of authorities to trust, beside the public ones. */
  ca?: string | undefined
  /** For a request and its whole answer. */
  timeoutMs: number
  /** The largest answer that is read. */
  maxBytes: number
  /** Address of this machine that requests are to come from. */
  localAddress?: string | undefined
}

export class PeerClient {
  readonly #agent: Agent
  readonly #timeoutMs: number
  readonly #maxBytes: number

  constructor({ ca, timeoutMs, maxBytes, localAddress }: PeerOptions) {
    this.#timeoutMs = timeoutMs
    this.#maxBytes = maxBytes
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, ...(ca !== undefined && { ca: [...rootCertificates, ca] }) },
      ...(localAddress !== undefined && { localAddress }),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      keepAliveTimeout: 30_000,
    })
  }

  /** @throws the failure of the connection, or an Error where the answer is too late or too large. */
  async get(url: string): Promise<PeerAnswer> {
    return this.#send(url, 'GET', {}, null)
  }

  /** @throws as {@link get}. */
  async post(url: string, body: unknown, token: string | undefined): Promise<PeerAnswer> {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    return this.#send(url, 'POST', headers, JSON.stringify(body))
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #send(
    url: string, method: 'GET' | 'POST', headers: Record<string, string>, body: string | null,
  ): Promise<PeerAnswer> {
    const signal = AbortSignal.timeout(this.#timeoutMs)
    const answer = await request(url, { method, headers, body, signal, dispatcher: this.#agent })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > this.#maxBytes) throw new Error(`the answer is larger than ${this.#maxBytes} bytes`)
      chunks.push(chunk)
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
