/** What a body is, and how it is received: within bounds of size, pace and memory. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { EdgeInferError, received } from '../errors.js'
import { native } from '../native.js'
import { contentCoding, createDecoder, damaged, type ContentCoding } from './content-coding.js'
import type { RequestLifecycle } from './lifecycle.js'
import type { HttpSettings } from './settings.js'

export type BodyKind = 'json' | 'image' | 'multipart' | 'unnamed'

export const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/bmp'] as const

const IMAGE_SPELLINGS: ReadonlySet<string> = new Set([...IMAGE_TYPES, 'image/jpg', 'image/x-ms-bmp'])

/** What HTTP libraries write when their caller names no type. */
const UNNAMED: ReadonlySet<string> = new Set(
  ['', 'application/x-www-form-urlencoded', 'text/plain', 'application/octet-stream'],
)

/** What routes take, by the form of their refusals; control routes where there is none. */
const ACCEPTED = {
  task: `${['application/json', ...IMAGE_TYPES].join(', ')} or multipart/form-data`,
  'inference-protocol': 'application/json or application/octet-stream',
  control: 'application/json',
} as const

/** What the headers say a body is. @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE where the route does not take it. */
export function bodyKind(request: FastifyRequest): BodyKind {
  const { headers, routeOptions: { config: { failure } } } = request
  const coding = contentCoding(headers)
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (/^[\w.+-]+\/([\w.+-]+\+|x-)?json$/.test(type)) return 'json'
  if (UNNAMED.has(type)) return 'unnamed'
  if (failure === 'task' && IMAGE_SPELLINGS.has(type)) return 'image'
  if (failure !== 'task' || type !== 'multipart/form-data') throw unsupportedType(request)
  if (!coding) return 'multipart'
  throw new EdgeInferError(
    'UNSUPPORTED_MEDIA_TYPE', `Expected a form without content encoding but received one in ${coding}`)
}

/** Says what the route takes and what it was sent. */
export function unsupportedType({ headers, routeOptions: { config: { failure } } }: FastifyRequest): EdgeInferError {
  const expected = ACCEPTED[typeof failure === 'string' ? failure : 'control']
  const sent = headers['content-type']?.slice(0, 100) ?? 'none'
  return new EdgeInferError('UNSUPPORTED_MEDIA_TYPE', `Expected a content type of ${expected} but received ${sent}`)
}

/** What JSON begins with where its writer marks it as UTF-8. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/**
 * For a body of the kind `unnamed`. @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE unless it begins as a JSON object
 * does.
 */
export function requireJsonLook(body: Buffer, request: FastifyRequest): void {
  const begin = body.indexOf(BYTE_ORDER_MARK) === 0 ? BYTE_ORDER_MARK.length : 0
  const first = body.subarray(begin).find((byte) => byte > 0x20)
  if (first !== undefined && first !== 0x7b) throw unsupportedType(request)
}

/** @throws EdgeInferError BAD_REQUEST. */
export function parseJsonObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  if (body.length === 0) throw new EdgeInferError('BAD_REQUEST', 'Expected a JSON object but received an empty body')
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.slice(0, 200) : String(cause)
    throw new EdgeInferError('BAD_REQUEST', `Expected a JSON object but received no JSON: ${reason}`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new EdgeInferError('BAD_REQUEST', `Expected a JSON object but received ${received(value)}`)
}

/** Bytes taken from all callers together in one turn of the event loop. */
const BYTES_PER_TURN = 2 ** 20

export class BodyReader {
  readonly #settings: Readonly<HttpSettings>
  /** Bytes that all requests hold that are not answered yet. */
  #held = 0
  #takenThisTurn = 0
  /** Requests that were paused when this turn had taken its share. */
  readonly #paused: Readable[] = []

  constructor(settings: Readonly<HttpSettings>) {
    this.#settings = settings
  }

  /** The whole body, unpacked. @throws EdgeInferError TOO_LARGE, REQUEST_TIMEOUT, QUEUE_FULL, ABORTED, BAD_REQUEST. */
  async read(request: FastifyRequest, limit: number): Promise<Buffer> {
    const coding = contentCoding(request.headers)
    const body = new BodyBuffer(limit, coding ? undefined : declaredLength(request.raw))
    try {
      await this.receive(request, limit, (piece) => body.add(piece), coding)
    } catch (error) {
      body.reclaim()
      throw error
    }
    return body.finish()
  }

  /**
   * Gives each piece of the body to `keep`; resolves when it is complete. `limit` holds for the bytes that come and for
   * those they unpack to. @throws as {@link read}.
   */
  async receive(
    request: FastifyRequest, limit: number, keep: (piece: Buffer) => void = () => {}, coding?: ContentCoding,
  ): Promise<void> {
    const { raw, lifecycle } = request
    const declared = declaredLength(raw)
    if (declared !== undefined && declared > limit) throw tooLarge(limit)
    if (declared !== undefined && this.#held + declared > this.#settings.bufferedBytes) throw tooMuchAtOnce()
    const decoder = coding && createDecoder()
    const source = decoder ?? raw
    let received = 0
    let unpacked = 0
    lifecycle.requestBody()
    await new Promise<void>((resolve, reject) => {
      const stop = (error?: unknown): void => {
        clearTimeout(stall)
        raw.off('data', onReceived).off('close', onClose).off('error', onGone)
        source.off('data', onData).off('end', onEnd)
        decoder?.destroy()
        if (error === undefined) resolve()
        else reject(error)
      }
      const stall = setTimeout(() => stop(stalled(this.#settings.bodyStallTimeout)), this.#settings.bodyStallTimeout)
      const onReceived = (piece: Buffer): void => {
        received += piece.length
        stall.refresh()
        if (received > limit) stop(tooLarge(limit))
      }
      const onData = (piece: Buffer): void => {
        unpacked += piece.length
        if (unpacked > limit) return stop(tooLarge(limit))
        if (!this.#hold(lifecycle, unpacked)) return stop(tooMuchAtOnce())
        keep(piece)
        this.#countTurn(source, piece.length)
      }
      const onDamaged = ({ message }: Error): void => stop(damaged(coding as ContentCoding, message))
      const onEnd = (): void => {
        if (decoder && decoder.bytesWritten < received) onDamaged(new Error('something follows its end'))
        else stop()
      }
      const onGone = (): void => stop(new EdgeInferError('ABORTED', 'The caller left before its request was complete'))
      // A request also closes once it has been read, maybe before it is unpacked.
      const onClose = (): void => {
        if (!raw.readableEnded) onGone()
      }
      raw.on('data', onReceived).on('close', onClose).on('error', onGone)
      source.on('data', onData).on('end', onEnd)
      if (decoder) raw.pipe(decoder).on('error', onDamaged)
      lifecycle.onFault(stop)
      lifecycle.whenOver(() => {
        onGone()
        this.#hold(lifecycle, 0)
      })
    })
    lifecycle.receivedAt = performance.now()
  }

  /**
   * To be called when what was taken out of a request's body, so many bytes, has taken its place.
   * @throws EdgeInferError QUEUE_FULL.
   */
  replaced({ lifecycle }: FastifyRequest, bytes: number): void {
    if (!this.#hold(lifecycle, bytes)) throw tooMuchAtOnce()
  }

  /** False where all requests together hold more than they may now. */
  #hold(lifecycle: RequestLifecycle, bytes: number): boolean {
    this.#held += bytes - lifecycle.heldBytes
    lifecycle.heldBytes = bytes
    return this.#held <= this.#settings.bufferedBytes
  }

  #countTurn(source: Readable, bytes: number): void {
    if (this.#takenThisTurn === 0) setImmediate(() => this.#beginTurn())
    this.#takenThisTurn += bytes
    if (this.#takenThisTurn < BYTES_PER_TURN) return
    source.pause()
    this.#paused.push(source)
  }

  #beginTurn(): void {
    this.#takenThisTurn = 0
    for (const source of this.#paused.splice(0)) source.resume()
  }
}

/** The pieces of a body of unknown length are kept apart up to this many bytes; beyond, one buffer takes them. */
const MAX_LOOSE_BYTES = 2 ** 20

/** Buffers of which a body is the beginning. */
const wholes = new WeakMap<Uint8Array, Uint8Array>()

/** Frees the memory of a body, which nobody may use any more. */
export function reclaimBody(body: Uint8Array): void {
  native.reclaim(wholes.get(body) ?? body)
}

/** Joins the pieces of a body and never makes a large copy, which would block the event loop. */
export class BodyBuffer {
  readonly #limit: number
  readonly #declared: number | undefined
  readonly #pieces: Buffer[] = []
  #length = 0
  #whole: Buffer | undefined

  /** `declared`: the length, where it is known. The memory of pieces is reclaimed as they are copied. */
  constructor(limit: number, declared?: number) {
    this.#limit = limit
    this.#declared = declared
  }

  add(piece: Buffer): void {
    const end = this.#length + piece.length
    if (!this.#whole && (this.#declared !== undefined || end > MAX_LOOSE_BYTES)) this.#allocate()
    if (this.#whole) {
      piece.copy(this.#whole, this.#length)
      native.reclaim(piece)
    } else {
      this.#pieces.push(piece)
    }
    this.#length = end
  }

  /** Frees what has come at once: many requests may be refused before the garbage is collected. */
  reclaim(): void {
    for (const piece of this.#whole ? [this.#whole] : this.#pieces) native.reclaim(piece)
  }

  finish(): Buffer {
    if (this.#whole) {
      if (this.#whole.length === this.#length) return this.#whole
      const filled = this.#whole.subarray(0, this.#length)
      wholes.set(filled, this.#whole)
      return filled
    }
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces, this.#length)
  }

  /** Memory that is not written to is not taken from the machine: a caller cannot claim what it does not send. */
  #allocate(): void {
    this.#whole = Buffer.allocUnsafeSlow(this.#declared ?? this.#limit)
    let at = 0
    for (const earlier of this.#pieces.splice(0)) {
      at += earlier.copy(this.#whole, at)
      native.reclaim(earlier)
    }
  }
}

/** Long enough for a caller to send the rest of what it has begun, and to read its answer. */
const LINGER_MS = 10_000

/**
 * Reads and drops what still comes of a request that has been answered, up to `limit` bytes: a caller that reads only
 * after it has sent everything gets to see its answer. A connection that is not kept is closed after that: Node.js
 * would close it once the answer is written, and bytes that come then reset it, answer and all.
 */
export function discardRest(raw: IncomingMessage, limit: number): void {
  const { socket } = raw
  const { destroySoon } = socket
  let [discarded, isAnswered] = [0, false]
  socket.destroySoon = () => {
    isAnswered = true
    socket.end()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
  raw.once('end', () => {
    socket.destroySoon = destroySoon
    if (isAnswered) socket.destroySoon()
  })
  raw.unpipe()
  raw.on('data', (piece: Buffer) => {
    discarded += piece.length
    native.reclaim(piece)
    if (discarded > limit) socket.destroy()
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
