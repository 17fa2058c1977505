/**
 * Messages over a socket between the server and a worker process: two lengths (32 bits, the machine's byte order), a
 * header and binary data.
 */
import type { Socket } from 'node:net'
import { EdgeInferError } from '../../errors.js'

const PREFIX_BYTES = 8
/** Of one message; native/core/jobs/job_protocol.h has the same limit. */
const MAX_BYTES = 2 ** 31

export class Framing {
  readonly #socket: Socket
  readonly #onMessage: (header: Buffer, data: Buffer) => void
  readonly #prefix = Buffer.alloc(PREFIX_BYTES)
  readonly #lengths = new Uint32Array(this.#prefix.buffer, this.#prefix.byteOffset, 2)
  #prefixFilled = 0
  /** Header and data of the message that is arriving. */
  #body: Buffer | undefined
  #bodyFilled = 0

  /** A message that `onMessage` refuses by throwing destroys the socket with the same error. */
  constructor(socket: Socket, onMessage: (header: Buffer, data: Buffer) => void) {
    this.#socket = socket
    this.#onMessage = onMessage
    socket.on('data', (chunk) => {
      try {
        this.#receive(chunk)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
  }

  /** Nothing is sent once the other side is gone. */
  send(header: Uint8Array, data: readonly Uint8Array[] = []): void {
    if (!this.#socket.writable) return
    const dataBytes = data.reduce((sum, { length }) => sum + length, 0)
    const start = Buffer.allocUnsafeSlow(PREFIX_BYTES + header.length)
    new Uint32Array(start.buffer, 0, 2).set([header.length, dataBytes])
    start.set(header, PREFIX_BYTES)
    if (data.length === 0) {
      this.#socket.write(start)
      return
    }
    this.#socket.cork()
    this.#socket.write(start)
    for (const part of data) this.#socket.write(part)
    this.#socket.uncork()
  }

  /** Sends no more; `sent` is called when all that was sent has left this process. */
  end(sent?: () => void): void {
    this.#socket.end(sent)
  }

  #receive(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        const count = chunk.copy(this.#prefix, this.#prefixFilled, at)
        at += count
        this.#prefixFilled += count
        if (this.#prefixFilled < PREFIX_BYTES) return
        this.#prefixFilled = 0
        const bytes = this.#bodyBytes
        if (bytes > MAX_BYTES) {
          throw new EdgeInferError(
            'INTERNAL', `Expected a message of at most ${MAX_BYTES} bytes but received one of ${bytes}`)
        }
        if (chunk.length - at >= bytes) {
          this.#deliver(chunk.subarray(at, at + bytes))
          at += bytes
          continue
        }
        this.#body = Buffer.allocUnsafe(bytes)
        this.#bodyFilled = 0
      }
      const body = this.#body
      const count = chunk.copy(body, this.#bodyFilled, at)
      at += count
      this.#bodyFilled += count
      if (this.#bodyFilled < body.length) return
      this.#body = undefined
      this.#deliver(body)
    }
  }

  get #bodyBytes(): number {
    return (this.#lengths[0] as number) + (this.#lengths[1] as number)
  }

  #deliver(body: Buffer): void {
    const headerBytes = this.#lengths[0] as number
    this.#onMessage(body.subarray(0, headerBytes), body.subarray(headerBytes))
  }
}
