/** Tensors of the Open Inference Protocol, as far as the tasks have them. */
import { EdgeInferError, received } from '../../errors.js'

/** Bytes of one element; those of BYTES say their length themselves. */
export const ELEMENT_BYTES = { UINT8: 1, INT32: 4, FP32: 4, FP64: 8, BYTES: undefined } as const
export type DataType = keyof typeof ELEMENT_BYTES

/** A tensor as the protocol describes it; -1 for a length that is left open. */
export interface TensorMetadata {
  name: string
  datatype: DataType
  shape: readonly number[]
}

/**
 * A tensor of a request: its elements as JSON had them, or the body that is its only one; or their bytes (row-major,
 * little-endian).
 */
export interface InputTensor extends TensorMetadata {
  parameters: Readonly<Record<string, unknown>>
  data: readonly unknown[] | undefined
  bytes: Buffer | undefined
}

/** A tensor of an answer. */
export interface OutputTensor extends TensorMetadata {
  /** Texts of a BYTES tensor, numbers of the others. */
  data: readonly string[] | readonly number[]
}

/** Whether an output of an answer is binary, behind the JSON. */
export interface OutputForm {
  name: string
  binary: boolean
}

export interface EncodedAnswer {
  body: Buffer
  /** Bytes of the JSON, where there is more behind it. */
  jsonLength: number | undefined
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1)
}

/** @throws EdgeInferError BAD_REQUEST. */
export function refuse(message: string): never {
  throw new EdgeInferError('BAD_REQUEST', message)
}

/** The elements of a BYTES tensor, each behind its length in 4 bytes. @throws EdgeInferError BAD_REQUEST. */
export function readByteElements({ name, shape }: TensorMetadata, bytes: Buffer): Buffer[] {
  const count = elementCount(shape)
  const elements: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    // Bytes of nothing but lengths of zero would be millions of elements.
    if (elements.length === count) refuse(`Expected ${count} elements of ${name} by its shape but received more`)
    const begin = at + 4
    const end = begin <= bytes.length ? begin + bytes.readUInt32LE(at) : Infinity
    if (end > bytes.length) {
      refuse(`Expected element ${elements.length} of ${name} to end within its ${bytes.length} bytes`)
    }
    elements.push(bytes.subarray(begin, end))
    at = end
  }
  if (elements.length === count) return elements
  return refuse(`Expected ${count} elements of ${name} by its shape but received ${elements.length}`)
}

/** The numbers of a floating-point tensor, however they came. @throws EdgeInferError BAD_REQUEST. */
export function readNumbers(tensor: InputTensor): number[] {
  const { name, datatype, shape, data, bytes } = tensor
  if (datatype !== 'FP32' && datatype !== 'FP64') {
    return refuse(`Expected FP32 or FP64 of ${name} but received ${datatype}`)
  }
  if (bytes) {
    const size = ELEMENT_BYTES[datatype]
    return Array.from({ length: elementCount(shape) }, (_, index) =>
      size === 4 ? bytes.readFloatLE(4 * index) : bytes.readDoubleLE(8 * index))
  }
  const numbers = data ?? []
  const wrong = numbers.find((value) => typeof value !== 'number' || !Number.isFinite(value))
  if (wrong !== undefined) refuse(`Expected finite numbers in ${name} but received ${received(wrong)}`)
  return numbers as number[]
}

export function encodeAnswer(
  header: Readonly<Record<string, unknown>>, tensors: readonly OutputTensor[], outputs: readonly OutputForm[],
): EncodedAnswer {
  const parts: Buffer[] = []
  const described = outputs.map(({ name, binary }) => {
    const { data, ...tensor } = tensors.find((candidate) => candidate.name === name) as OutputTensor
    if (!binary) return { ...tensor, data }
    const bytes = encodeTensor({ ...tensor, data })
    parts.push(bytes)
    return { ...tensor, parameters: { binary_data_size: bytes.length } }
  })
  const json = Buffer.from(JSON.stringify({ ...header, outputs: described }))
  if (parts.length === 0) return { body: json, jsonLength: undefined }
  return { body: Buffer.concat([json, ...parts]), jsonLength: json.length }
}

/** The bytes of a tensor, as the binary extension has them. */
function encodeTensor({ datatype, data }: OutputTensor): Buffer {
  if (datatype === 'BYTES') {
    return Buffer.concat((data as readonly string[]).flatMap((text) => {
      const bytes = Buffer.from(text)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.length)
      return [length, bytes]
    }))
  }
  const numbers = data as readonly number[]
  const size = ELEMENT_BYTES[datatype]
  const bytes = Buffer.alloc(size * numbers.length)
  for (const [index, value] of numbers.entries()) {
    if (datatype === 'FP32') bytes.writeFloatLE(value, 4 * index)
    else if (datatype === 'FP64') bytes.writeDoubleLE(value, 8 * index)
    else if (datatype === 'INT32') bytes.writeInt32LE(value, 4 * index)
    else bytes.writeUInt8(value, index)
  }
  return bytes
}
