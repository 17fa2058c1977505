/**
 * The protocol-buffer wire format, as far as an ONNX file has to be taken apart and put together again. Fields that are
 * not touched are handed on as the bytes they were, weights among them.
 */

/** One field of a message; `bytes` is its whole encoding, `payload` what a length-delimited field holds. */
export interface Field {
  number: number
  bytes: Buffer
  payload: Buffer | undefined
  /** Of a varint field. */
  value: number | undefined
}

const VARINT = 0
const FIXED64 = 1
const LENGTH_DELIMITED = 2
const FIXED32 = 5

/** @throws RangeError when the message is cut off or uses a wire type that ONNX does not. */
export function readFields(message: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  while (at < message.length) {
    const begin = at
    const tag = readVarint(message, at)
    at = tag.next
    const number = Math.floor(tag.value / 8)
    let payload: Buffer | undefined
    let value: number | undefined
    switch (tag.value % 8) {
      case VARINT: {
        const varint = readVarint(message, at)
        value = varint.value
        at = varint.next
        break
      }
      case FIXED64: at += 8; break
      case FIXED32: at += 4; break
      case LENGTH_DELIMITED: {
        const length = readVarint(message, at)
        payload = message.subarray(length.next, length.next + length.value)
        at = length.next + length.value
        break
      }
      default: throw new RangeError(`Unknown wire type ${tag.value % 8} at byte ${begin}`)
    }
    if (at > message.length) throw new RangeError(`The message is cut off in field ${number} at byte ${begin}`)
    fields.push({ number, bytes: message.subarray(begin, at), payload, value })
  }
  return fields
}

/** What the length-delimited fields of that number hold; one of another wire type is none that is known. */
export function payloadsOf(fields: readonly Field[], number: number): Buffer[] {
  return fields.flatMap((field) => field.number === number && field.payload ? field.payload : [])
}

export function stringsOf(fields: readonly Field[], number: number): string[] {
  return payloadsOf(fields, number).map((payload) => payload.toString('utf8'))
}

/**
 * The integers of all fields of that number, packed or one by one, signed as int64 is. Those beyond 2^53 (which say "to
 * the end" where they are met) come out as the largest safe integer.
 * @throws RangeError
 */
export function integersOf(fields: readonly Field[], number: number): number[] {
  return fields.filter((field) => field.number === number).flatMap(({ bytes, payload }) => {
    if (!payload) return readSigned(bytes, readVarint(bytes, 0).next).value
    const values: number[] = []
    for (let at = 0; at < payload.length;) {
      const { value, next } = readSigned(payload, at)
      values.push(value)
      at = next
    }
    return values
  })
}

export function encodeVarintField(number: number, value: number): Buffer {
  return Buffer.concat([encodeVarint(number * 8 + VARINT), encodeVarint(value)])
}

export function encodeField(number: number, payload: Buffer | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  return Buffer.concat([encodeVarint(number * 8 + LENGTH_DELIMITED), encodeVarint(bytes.length), bytes])
}

/** Lengths and tags fit a double exactly; a 64-bit value beyond 2^53 is not needed and comes out rounded. */
export function readVarint(message: Buffer, from: number): { value: number; next: number } {
  let value = 0
  let factor = 1
  for (let at = from; at < from + 10; at += 1) {
    const byte = message[at]
    if (byte === undefined) throw new RangeError(`The message is cut off at byte ${at}`)
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return { value, next: at + 1 }
    factor *= 128
  }
  throw new RangeError(`A number is longer than 10 bytes at byte ${from}`)
}

function readSigned(message: Buffer, from: number): { value: number; next: number } {
  const { next } = readVarint(message, from)
  let value = 0n
  for (let at = next - 1; at >= from; at -= 1) value = value << 7n | BigInt((message[at] as number) & 0x7f)
  const signed = Number(BigInt.asIntN(64, value))
  return { value: Math.min(Math.max(signed, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER), next }
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push(rest % 0x80 | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
