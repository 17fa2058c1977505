/** An ONNX model as a graph of named nodes, its weights left as they are. Field numbers are those of onnx.proto. */
import { encodeField, encodeVarintField, readFields, stringsOf, type Field } from './protobuf.js'

const MODEL = { graph: 7 } as const
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const
const NODE = { input: 1, output: 2, opType: 4 } as const
const TENSOR = { name: 8 } as const
const VALUE_INFO = { name: 1, type: 2 } as const
const TENSOR_TYPE = { tensor: 1, elementType: 1, shape: 2, dimension: 1, dimensionValue: 1, dimensionName: 2 } as const
const FLOAT = 1

export interface OnnxNode {
  op: string
  inputs: string[]
  outputs: string[]
  bytes: Buffer
}

export interface OnnxValue {
  name: string
  /** Undefined where the model does not say. */
  shape: (number | string | undefined)[] | undefined
}

/** A model without the end of its graph. */
export interface CutModel {
  file: Buffer
  /** The input the model was exported for, pixels; undefined where it left it open. */
  inputSize: { width: number; height: number } | undefined
}

interface Initializer {
  name: string
  bytes: Buffer
}

export class OnnxModel {
  readonly nodes: readonly OnnxNode[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly #outer: Field[]
  readonly #graph: Field[]
  readonly #initializers: Initializer[]

  /** @throws RangeError when the bytes are no ONNX file. */
  constructor(file: Buffer) {
    this.#outer = readFields(file)
    const graph = this.#outer.find(({ number }) => number === MODEL.graph)?.payload
    if (!graph) throw new RangeError('The file has no ONNX graph')
    this.#graph = readFields(graph)
    this.nodes = this.#payloads(GRAPH.node).map(({ bytes, payload }) => {
      const fields = readFields(payload)
      return {
        op: stringsOf(fields, NODE.opType)[0] ?? '',
        inputs: stringsOf(fields, NODE.input),
        outputs: stringsOf(fields, NODE.output),
        bytes,
      }
    })
    this.#initializers = this.#payloads(GRAPH.initializer).map(({ bytes, payload }) =>
      ({ name: stringsOf(readFields(payload), TENSOR.name)[0] ?? '', bytes }))
    const names = new Set(this.#initializers.map(({ name }) => name))
    this.inputs = this.#payloads(GRAPH.input).map(({ payload }) => readValue(payload))
      .filter(({ name }) => !names.has(name))
    this.outputs = this.#payloads(GRAPH.output).map(({ payload }) => readValue(payload))
  }

  /** The node that makes a value; undefined for inputs and weights. */
  producer(value: string): OnnxNode | undefined {
    return this.nodes.find(({ outputs }) => outputs.includes(value))
  }

  consumers(value: string): OnnxNode[] {
    return this.nodes.filter(({ inputs }) => inputs.includes(value))
  }

  /**
   * The model with other outputs (float tensors of any shape), what does not lead to them left out, and its one input
   * of the shape given, a string naming a side that is left open.
   */
  rewired(outputs: readonly string[], input: { name: string; shape: readonly (number | string)[] }): Buffer {
    const nodes = this.#leadingTo(outputs)
    const used = new Set(nodes.flatMap(({ inputs }) => inputs))
    const replaced = [GRAPH.node, GRAPH.initializer, GRAPH.input, GRAPH.output, GRAPH.valueInfo] as readonly number[]
    const graph = Buffer.concat([
      ...this.#graph.filter(({ number }) => !replaced.includes(number)).map(({ bytes }) => bytes),
      ...nodes.map(({ bytes }) => bytes),
      ...this.#initializers.filter(({ name }) => used.has(name)).map(({ bytes }) => bytes),
      encodeField(GRAPH.input, encodeValue(input.name, input.shape)),
      ...outputs.map((name) => encodeField(GRAPH.output, encodeValue(name, undefined))),
    ])
    return Buffer.concat(this.#outer.map(({ number, bytes }) =>
      number === MODEL.graph ? encodeField(MODEL.graph, graph) : bytes))
  }

  #payloads(number: number): { bytes: Buffer; payload: Buffer }[] {
    return this.#graph.flatMap((field) => field.number === number && field.payload
      ? { bytes: field.bytes, payload: field.payload }
      : [])
  }

  /** The nodes the outputs depend on, in the file's order, which is one they can be run in. */
  #leadingTo(outputs: readonly string[]): OnnxNode[] {
    const wanted = new Set(outputs)
    return [...this.nodes].reverse().filter((node) => {
      if (!node.outputs.some((name) => wanted.has(name))) return false
      for (const name of node.inputs) wanted.add(name)
      return true
    }).reverse()
  }
}

function readValue(payload: Buffer): OnnxValue {
  const fields = readFields(payload)
  const inner = (from: readonly Field[], number: number): Field[] | undefined => {
    const found = from.find((field) => field.number === number)?.payload
    return found && readFields(found)
  }
  const tensor = inner(inner(fields, VALUE_INFO.type) ?? [], TENSOR_TYPE.tensor)
  const shape = inner(tensor ?? [], TENSOR_TYPE.shape)
  return {
    name: stringsOf(fields, VALUE_INFO.name)[0] ?? '',
    shape: shape?.filter(({ number }) => number === TENSOR_TYPE.dimension).map(({ payload: side }) => {
      const [value] = side ? readFields(side) : []
      return value?.number === TENSOR_TYPE.dimensionValue ? value.value : value?.payload?.toString('utf8')
    }),
  }
}

function encodeValue(name: string, shape: readonly (number | string)[] | undefined): Buffer {
  const sides = shape?.map((side) => encodeField(TENSOR_TYPE.dimension, typeof side === 'number'
    ? encodeVarintField(TENSOR_TYPE.dimensionValue, side)
    : encodeField(TENSOR_TYPE.dimensionName, side)))
  const tensor = Buffer.concat([
    encodeVarintField(TENSOR_TYPE.elementType, FLOAT),
    ...(sides ? [encodeField(TENSOR_TYPE.shape, Buffer.concat(sides))] : []),
  ])
  const type = encodeField(TENSOR_TYPE.tensor, tensor)
  return Buffer.concat([encodeField(VALUE_INFO.name, name), encodeField(VALUE_INFO.type, type)])
}
