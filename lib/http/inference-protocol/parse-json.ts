/** The JSON of a request. It is parsed in one go on the JavaScript thread: what it may cost there is bounded first. */
import { EdgeInferError } from '../../errors.js'
import { received } from '../../validation.js'
import { refuse } from './tensors.js'

export type Members = Readonly<Record<string, unknown>>

const MAX_JSON_BYTES = 4 * 2 ** 20
/** Lists, objects, texts and commas. A picture in base64 is one text; megabytes of brackets take a parser a second. */
const MAX_JSON_TOKENS = 2 ** 16

const [QUOTE, COMMA, LIST, BACKSLASH, OBJECT] = [0x22, 0x2c, 0x5b, 0x5c, 0x7b] as const

/** @throws EdgeInferError BAD_REQUEST, TOO_LARGE. */
export function parseJsonObject(bytes: Buffer): Members {
  if (bytes.length > MAX_JSON_BYTES) throw tooLarge(`${MAX_JSON_BYTES} bytes of JSON but received ${bytes.length}`)
  if (hasMoreTokens(bytes, MAX_JSON_TOKENS)) {
    throw tooLarge(`${MAX_JSON_TOKENS} lists, objects, texts and commas in the JSON but received more`)
  }
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.slice(0, 200) : String(cause)
    throw new EdgeInferError('BAD_REQUEST', `Expected a JSON object but received no JSON: ${reason}`, { cause })
  }
  if (isMembers(value)) return value
  return refuse(`Expected a JSON object but received ${received(value)}`)
}

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function tooLarge(limit: string): EdgeInferError {
  return new EdgeInferError('TOO_LARGE', `Expected at most ${limit}; ` +
    'send pictures and pixels behind the JSON, as the binary tensor data extension has it')
}

function hasMoreTokens(bytes: Buffer, limit: number): boolean {
  let tokens = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfText(bytes, at)
    else if (byte !== COMMA && byte !== LIST && byte !== OBJECT) continue
    if (++tokens > limit) return true
  }
  return false
}

/** Where the quote is that ends the text which begins at `begin`. */
function endOfText(bytes: Buffer, begin: number): number {
  for (let at = bytes.indexOf(QUOTE, begin + 1); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    let backslashes = 0
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return bytes.length
}
