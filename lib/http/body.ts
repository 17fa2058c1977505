/** Receives bodies within bounds of size, pace and memory. */
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { EdgeInferError } from '../errors.js'
import { GatheredBytes } from './gathered.js'
import type { HttpSettings } from './settings.js'

/** Bytes that are taken in one turn of the event loop, from all callers together. */
const BYTES_A_TURN = 2 ** 20

export class BodyReader {
  readonly #settings: Readonly<HttpSettings>
  /** Bytes of all requests that are not answered yet. */
  #buffered = 0
  #takenThisTurn = 0
  /** They were stopped when the turn had taken its share. */
  readonly #paused: IncomingMessage[] = []

  constructor(settings: Readonly<HttpSettings>) {
    this.#settings = settings
  }

  /** The whole body. @throws EdgeInferError TOO_LARGE, REQUEST_TIMEOUT, QUEUE_FULL, ABORTED. */
  async read(request: FastifyRequest, limit: number): Promise<Buffer> {
    const body = new GatheredBytes(limit, declaredLength(request.raw))
    await this.receive(request, limit, (piece) => body.add(piece))
    return body.finish()
  }

  /** Gives each piece of the body to `keep`; resolves when it is complete. @throws as {@link read}. */
  async receive(request: FastifyRequest, limit: number, keep: (piece: Buffer) => void = () => {}): Promise<void> {
    const { raw, lifecycle } = request
    const declared = declaredLength(raw)
    if (declared !== undefined && declared > limit) throw tooLarge(limit)
    let received = 0
    lifecycle.whenOver(() => (this.#buffered -= received))
    await new Promise<void>((resolve, reject) => {
      const stop = (error?: unknown): void => {
        clearTimeout(stall)
        raw.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone)
        if (error === undefined) resolve()
        else reject(error)
      }
      const stall = setTimeout(() => stop(stalled(this.#settings.bodyStallTimeout)), this.#settings.bodyStallTimeout)
      const onData = (piece: Buffer): void => {
        received += piece.length
        this.#buffered += piece.length
        if (received > limit) return stop(tooLarge(limit))
        if (this.#buffered > this.#settings.bufferedBytes) return stop(tooMuchAtOnce())
        stall.refresh()
        keep(piece)
        this.#countTurn(raw, piece.length)
      }
      const onEnd = (): void => stop()
      const onGone = (): void => stop(new EdgeInferError('ABORTED', 'The caller left before its request was complete'))
      raw.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone)
    })
    lifecycle.receivedAt = performance.now()
  }

  #countTurn(raw: IncomingMessage, bytes: number): void {
    if (this.#takenThisTurn === 0) setImmediate(() => this.#beginTurn())
    this.#takenThisTurn += bytes
    if (this.#takenThisTurn < BYTES_A_TURN) return
    raw.pause()
    this.#paused.push(raw)
  }

  #beginTurn(): void {
    this.#takenThisTurn = 0
    for (const raw of this.#paused.splice(0)) raw.resume()
  }
}

/**
 * Takes what is still to come of a request that has its answer already, so that the caller, who may read only when it
 * has sent all, gets to see it; up to `limit` bytes.
 */
export function discardRest(raw: IncomingMessage, limit: number): void {
  let discarded = 0
  raw.unpipe()
  raw.on('data', (piece: Buffer) => {
    discarded += piece.length
    if (discarded > limit) raw.socket.destroy()
  })
  raw.on('error', () => {})
  raw.resume()
}

function declaredLength({ headers }: IncomingMessage): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

function tooLarge(limit: number): EdgeInferError {
  return new EdgeInferError('TOO_LARGE', `Expected a body of at most ${limit} bytes but received more`)
}

function tooMuchAtOnce(): EdgeInferError {
  return new EdgeInferError('QUEUE_FULL', 'Too many large requests are being received at once; try again shortly')
}

function stalled(milliseconds: number): EdgeInferError {
  const message = `Expected the rest of the body but nothing came for ${milliseconds / 1000} s`
  return new EdgeInferError('REQUEST_TIMEOUT', message)
}
