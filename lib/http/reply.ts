/** Writes large answers as JSON without blocking the event loop. */
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Milliseconds of work between two yields. */
const MAX_WORK_MS = 3
/** Characters that are escaped or encoded in one go, below 1 ms. */
const SLICE_LENGTH = 2 ** 17

type Members = Readonly<Record<string, unknown>>

/** Sends one object: the members of `large`, then those that `last` gives once the others have been written. */
export async function sendJson(reply: FastifyReply, large: Members, last: () => Members): Promise<FastifyReply> {
  const chunks: Buffer[] = []
  let text = ''
  let yieldAt = performance.now() + MAX_WORK_MS
  for (const piece of objectPieces(large)) {
    text += piece
    if (text.length >= SLICE_LENGTH) {
      chunks.push(Buffer.from(text))
      text = ''
    }
    if (performance.now() > yieldAt) {
      await yieldToEventLoop()
      yieldAt = performance.now() + MAX_WORK_MS
    }
  }
  const opening = text === '' && chunks.length === 0 ? '{' : ','
  text += opening + JSON.stringify(last()).slice(1)
  reply.type(JSON_TYPE)
  if (chunks.length === 0) return reply.send(text)
  chunks.push(Buffer.from(text))
  reply.header('content-length', chunks.reduce((sum, { length }) => sum + length, 0))
  return reply.send(Readable.from(chunks))
}

/** JSON of an object without its closing brace; nothing for an empty one. */
function* objectPieces(members: Members): Generator<string> {
  let separator = '{'
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue
    yield `${separator}${JSON.stringify(name)}:`
    yield* valuePieces(value)
    separator = ','
  }
}

function* valuePieces(value: unknown): Generator<string> {
  if (typeof value === 'string' && value.length > SLICE_LENGTH) {
    yield '"'
    for (let at = 0; at < value.length; at += SLICE_LENGTH) {
      yield JSON.stringify(value.slice(at, at + SLICE_LENGTH)).slice(1, -1)
    }
    yield '"'
  } else if (isListOfTextsOrObjects(value)) {
    let separator = '['
    for (const element of value) {
      yield separator
      yield* valuePieces(element)
      separator = ','
    }
    yield ']'
  } else if (isObject(value) && Object.values(value).some((member) => member !== undefined)) {
    yield* objectPieces(value)
    yield '}'
  } else {
    yield JSON.stringify(value)
  }
}

/** Lists of numbers, and of lists of numbers, are short in every answer. */
function isListOfTextsOrObjects(value: unknown): value is unknown[] {
  return Array.isArray(value) && (typeof value[0] === 'string' || isObject(value[0]))
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const waiting: (() => void)[] = []

/** Resolves in a later turn of the event loop; of all who wait, one goes on in each turn. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(resumeNext)
  })
}

function resumeNext(): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(resumeNext)
}
