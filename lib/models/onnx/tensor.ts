/** Weights and attributes of an ONNX file as numbers, and numbers as weights and attributes. */
import type { OnnxModel, OnnxNode } from './model.js'
import { encodeField, encodeVarintField, integersOf, readFields } from './protobuf.js'

const TENSOR = { dimension: 1, type: 2, floats: 4, name: 8, raw: 9, location: 14 } as const
const TYPE = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const
const ATTRIBUTE = { name: 1, float: 2, integer: 3, tensor: 5, integers: 8, type: 20 } as const
const ATTRIBUTE_INTEGER = 2

export interface FloatTensor {
  shape: number[]
  data: Float32Array
}

type TensorData = Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array

/**
 * A constant of the graph: an initializer or a Constant node's value. Undefined where it is neither, is not float32 or
 * lies in another file.
 */
export function constantOf(model: OnnxModel, name: string): FloatTensor | undefined {
  const tensor = model.initializers.get(name) ?? constantNodeOf(model, name)
  return tensor && readFloats(tensor)
}

function constantNodeOf(model: OnnxModel, name: string): Buffer | undefined {
  const node = model.producer(name)
  if (node?.op !== 'Constant') return undefined
  return node.attributes.get('value')?.find(({ number }) => number === ATTRIBUTE.tensor)?.payload
}

function readFloats(tensor: Buffer): FloatTensor | undefined {
  const fields = readFields(tensor)
  const first = (number: number): number | undefined => fields.find((field) => field.number === number)?.value
  if (first(TENSOR.type) !== TYPE.float || (first(TENSOR.location) ?? 0) !== 0) return undefined
  const shape = integersOf(fields, TENSOR.dimension)
  const raw = fields.find(({ number }) => number === TENSOR.raw)?.payload
  // Not packed, each float is a field of five bytes.
  const bytes = raw ?? Buffer.concat(fields.filter(({ number }) => number === TENSOR.floats)
    .map(({ payload, bytes: whole }) => payload ?? whole.subarray(-4)))
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  return data.length === shape.reduce((count, side) => count * side, 1) ? { shape, data } : undefined
}

/** A TensorProto; a shape of no sides is a scalar. */
export function encodeTensor(name: string, shape: readonly number[], data: TensorData): Buffer {
  return Buffer.concat([
    ...shape.map((side) => encodeVarintField(TENSOR.dimension, side)),
    encodeVarintField(TENSOR.type, typeOf(data)),
    encodeField(TENSOR.name, name),
    encodeField(TENSOR.raw, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  ])
}

function typeOf(data: TensorData): number {
  if (data instanceof Float32Array) return TYPE.float
  if (data instanceof Uint8Array) return TYPE.uint8
  if (data instanceof Int8Array) return TYPE.int8
  return data instanceof Int32Array ? TYPE.int32 : TYPE.int64
}

/** Undefined where the node does not have the attribute. */
export function integerAttribute(node: OnnxNode, name: string): number | undefined {
  const fields = node.attributes.get(name)
  return fields && integersOf(fields, ATTRIBUTE.integer)[0]
}

export function integersAttribute(node: OnnxNode, name: string): number[] | undefined {
  const fields = node.attributes.get(name)
  return fields && integersOf(fields, ATTRIBUTE.integers)
}

export function floatAttribute(node: OnnxNode, name: string): number | undefined {
  return node.attributes.get(name)?.find(({ number }) => number === ATTRIBUTE.float)?.bytes.readFloatLE(1)
}

/** An AttributeProto that holds a whole number from 0. */
export function encodeIntegerAttribute(name: string, value: number): Buffer {
  return Buffer.concat([
    encodeField(ATTRIBUTE.name, name),
    encodeVarintField(ATTRIBUTE.integer, value),
    encodeVarintField(ATTRIBUTE.type, ATTRIBUTE_INTEGER),
  ])
}
