/**
 * Messages over a socket between the server and a worker process. A message is two lengths (32 bits, little-endian), a
 * JSON header and binary data; pictures travel as they are, never as text.
 */
import type { Socket } from 'node:net'

const PREFIX_BYTES = 8

export interface Received<Header> {
  header: Header
  data: Buffer
}

export class Channel<Sent, Incoming> {
  readonly #socket: Socket
  readonly #onMessage: (message: Received<Incoming>) => void
  readonly #prefix = Buffer.alloc(PREFIX_BYTES)
  #prefixFilled = 0
  /** Header and data of the message that is arriving. */
  #body: Buffer | undefined
  #bodyFilled = 0
  #headerBytes = 0

  constructor(socket: Socket, onMessage: (message: Received<Incoming>) => void) {
    this.#socket = socket
    this.#onMessage = onMessage
    socket.on('data', (chunk) => this.#receive(chunk))
  }

  /** Sends a header with data behind it. Nothing is sent once the other side is gone. */
  send(header: Sent, data: readonly Uint8Array[] = []): void {
    if (!this.#socket.writable) return
    const text = Buffer.from(JSON.stringify(header))
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES)
    prefix.writeUInt32LE(text.length, 0)
    prefix.writeUInt32LE(data.reduce((sum, part) => sum + part.length, 0), 4)
    this.#socket.cork()
    this.#socket.write(Buffer.concat([prefix, text]))
    for (const part of data) this.#socket.write(part)
    this.#socket.uncork()
  }

  /** Closes the channel; `sent` is called when all that was sent has left this process. */
  end(sent: () => void): void {
    this.#socket.end(sent)
  }

  #receive(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        at += this.#fill(this.#prefix, this.#prefixFilled, chunk, at, (filled) => { this.#prefixFilled = filled })
        if (this.#prefixFilled < PREFIX_BYTES) return
        this.#prefixFilled = 0
        this.#headerBytes = this.#prefix.readUInt32LE(0)
        this.#body = Buffer.allocUnsafe(this.#headerBytes + this.#prefix.readUInt32LE(4))
        this.#bodyFilled = 0
      }
      const body = this.#body
      at += this.#fill(body, this.#bodyFilled, chunk, at, (filled) => { this.#bodyFilled = filled })
      if (this.#bodyFilled < body.length) return
      this.#body = undefined
      const header = JSON.parse(body.toString('utf8', 0, this.#headerBytes)) as Incoming
      this.#onMessage({ header, data: body.subarray(this.#headerBytes) })
    }
  }

  #fill(target: Buffer, filled: number, chunk: Buffer, at: number, store: (filled: number) => void): number {
    const count = chunk.copy(target, filled, at)
    store(filled + count)
    return count
  }
}

/** Cuts what `lengths` say off the front of `data`, one part after the other. */
export function cut(data: Buffer, lengths: readonly number[]): Buffer[] {
  let at = 0
  return lengths.map((length) => data.subarray(at, at += length))
}
