/** Clients that write bytes to a socket as they please. */
import { connect, type Socket } from 'node:net'

export interface RawReply {
  status: number
  headers: Record<string, string>
  body: Record<string, unknown>
}

export class RawClient {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #closed = false
  #wake: () => void = () => {}

  constructor(port: number, socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })) {
    this.socket = socket
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Writes in turn; resolves when all has been taken or the connection is gone. */
  async send(...parts: readonly (string | Buffer)[]): Promise<this> {
    for (const part of parts) {
      if (this.#closed) break
      await new Promise((resolve) => this.socket.write(part, resolve))
    }
    return this
  }

  /** The next answer, which must be a JSON one of a known length. */
  async reply(): Promise<RawReply> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n')
      const [first = '', ...lines] = this.#received.subarray(0, Math.max(0, end)).toString().split('\r\n')
      const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(': ', 2) as [string, string]))
      const length = Number(headers['content-length'])
      if (end >= 0 && this.#received.length >= end + 4 + length) {
        const body = this.#received.subarray(end + 4, end + 4 + length).toString()
        this.#received = this.#received.subarray(end + 4 + length)
        return { status: Number(first.split(' ')[1]), headers, body: JSON.parse(body) as Record<string, unknown> }
      }
      if (this.#closed) throw new Error(`closed after ${JSON.stringify(this.#received.toString().slice(0, 200))}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  /** The status of an interim answer, which has no headers. */
  async interim(): Promise<number> {
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n')
      if (end >= 0) {
        const line = this.#received.toString('latin1', 0, end)
        this.#received = this.#received.subarray(end + 4)
        return Number(/^HTTP\/1\.1 (\d+) \w+$/.exec(line)?.[1])
      }
      if (this.#closed) throw new Error('closed without an answer')
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  close(): void {
    this.socket.destroy()
  }
}

/** The head of a POST of JSON. */
export function head(path: string, length: number | undefined, ...headers: readonly string[]): string {
  const lines = [`POST ${path} HTTP/1.1`, 'Host: test', 'Content-Type: application/json', ...headers]
  if (length !== undefined) lines.push(`Content-Length: ${length}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
