/** Writes small ONNX models, so that tests have one of any shape. The wire format is protobuf's. */
import { writeFileSync } from 'node:fs'

export const ELEMENT_TYPES = { float32: 1, uint8: 2, int64: 7, float16: 10 } as const
export type ElementType = keyof typeof ELEMENT_TYPES

export interface TensorSpec {
  name: string
  type?: ElementType
  /** A number, or the name of a dimension that is left open. */
  shape: readonly (number | string)[]
}

export interface OutputSpec {
  name: string
  shape: readonly number[]
  /** The constant value, row by row; zeros of float32 when absent. */
  values?: Float32Array | BigInt64Array | undefined
}

type Field = Buffer

function varint(value: number | bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt(value)
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}

const number = (field: number, value: number): Field => Buffer.concat([varint(field << 3), varint(value)])
const bytes = (field: number, value: Uint8Array | string): Field => {
  const data = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([varint((field << 3) | 2), varint(data.length), data])
}
const message = (field: number, ...fields: Field[]): Field => bytes(field, Buffer.concat(fields))

/** GraphProto.input or .output. */
function valueInfo(field: number, { name, type = 'float32', shape }: TensorSpec): Field {
  const dimensions = shape.map((side) => message(1, typeof side === 'number' ? number(1, side) : bytes(2, side)))
  return message(
    field, bytes(1, name), message(2, message(1, number(1, ELEMENT_TYPES[type]), message(2, ...dimensions))),
  )
}

function typeOf({ values }: OutputSpec): ElementType {
  return values instanceof BigInt64Array ? 'int64' : 'float32'
}

/** GraphProto.initializer. */
function constant(output: OutputSpec): Field {
  const { name, shape, values } = output
  const count = shape.reduce((product, side) => product * side, 1)
  const data = values ?? new Float32Array(count)
  if (data.length !== count) throw new RangeError(`${name} has ${data.length} values for ${count} places`)
  return message(
    5, ...shape.map((side) => number(1, side)), number(2, ELEMENT_TYPES[typeOf(output)]), bytes(8, `${name}_value`),
    bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  )
}

export interface FileSpec {
  /** What the file says of itself. */
  metadata?: Readonly<Record<string, string>>
  /** Versions of the operators and of the file's form. */
  opset?: number
  irVersion?: number
}

/** A model that answers each output's constant whatever its inputs are. */
export function constantModel(
  inputs: readonly TensorSpec[], outputs: readonly OutputSpec[], file: FileSpec = {},
): Buffer {
  const nodes = outputs.map(({ name }) => message(1, bytes(1, `${name}_value`), bytes(2, name), bytes(4, 'Identity')))
  const graph = message(
    7, ...nodes, bytes(2, 'test'), ...outputs.map(constant), ...inputs.map((input) => valueInfo(11, input)),
    ...outputs.map((output) => valueInfo(12, { ...output, type: typeOf(output) })),
  )
  return wholeModel(graph, file)
}

function wholeModel(graph: Buffer, { metadata = {}, opset = 13, irVersion = 8 }: FileSpec): Buffer {
  const entries = Object.entries(metadata).map(([key, value]) => message(14, bytes(1, key), bytes(2, value)))
  return Buffer.concat([number(1, irVersion), graph, message(8, bytes(1, ''), number(2, opset)), ...entries])
}

/** A graph of nodes without attributes and weights: to be taken apart, not to be run. */
export function graphModel(
  nodes: readonly (readonly [op: string, inputs: string, outputs: string])[],
  inputs: readonly TensorSpec[], outputs: readonly TensorSpec[],
): Buffer {
  const names = (field: number, list: string): Field[] => list.split(' ').map((name) => bytes(field, name))
  const encoded = nodes.map(([op, from, to]) => message(1, ...names(1, from), ...names(2, to), bytes(4, op)))
  return wholeModel(message(
    7, ...encoded, bytes(2, 'test'), ...inputs.map((input) => valueInfo(11, input)),
    ...outputs.map((output) => valueInfo(12, output)),
  ), {})
}

export function writeConstantModel(
  path: string, inputs: readonly TensorSpec[], outputs: readonly OutputSpec[], file: FileSpec = {},
): string {
  writeFileSync(path, constantModel(inputs, outputs, file))
  return path
}

/** Places of a zero tensor of `shape` set to values: `[index, value]`. */
export function sparse(shape: readonly number[], ...entries: readonly (readonly [number, number])[]): Float32Array {
  const values = new Float32Array(shape.reduce((product, side) => product * side, 1))
  for (const [index, value] of entries) values[index] = value
  return values
}
