/** An ONNX model as a graph of named nodes, its weights left as they are. Field numbers are those of onnx.proto. */
import {
  encodeField, encodeVarintField, integersOf, payloadsOf, readFields, stringsOf, type Field,
} from './protobuf.js'

export const MODEL_FIELD = { irVersion: 1, graph: 7, opset: 8, metadata: 14 } as const
const OPSET = { domain: 1, version: 2 } as const
const ENTRY = { key: 1, value: 2 } as const
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const
const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5 } as const
const ATTRIBUTE = { name: 1 } as const
const TENSOR = { name: 8 } as const
const VALUE_INFO = { name: 1, type: 2 } as const
const TENSOR_TYPE = { tensor: 1, elementType: 1, shape: 2, dimension: 1, dimensionValue: 1, dimensionName: 2 } as const
const FLOAT = 1
/** The first version of the file format that goes with the operator set 13. */
const IR_VERSION_OF_OPSET_13 = 7

export interface OnnxNode {
  name: string
  op: string
  inputs: string[]
  outputs: string[]
  /** The fields of an AttributeProto, by its name. */
  attributes: ReadonlyMap<string, readonly Field[]>
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

export class OnnxModel {
  readonly nodes: readonly OnnxNode[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  /** Values in between whose shapes the file tells. */
  readonly values: readonly OnnxValue[]
  /** The TensorProto of each weight. */
  readonly initializers: ReadonlyMap<string, Buffer>
  /** The version of ONNX's own operators. */
  readonly opset: number
  readonly metadata: ReadonlyMap<string, string>
  readonly #outer: Field[]
  readonly #graph: Field[]

  /** @throws RangeError when the bytes are no ONNX file. */
  constructor(file: Buffer) {
    this.#outer = readFields(file)
    const [graph] = payloadsOf(this.#outer, MODEL_FIELD.graph)
    if (!graph) throw new RangeError('The file has no ONNX graph')
    this.#graph = readFields(graph)
    this.nodes = payloadsOf(this.#graph, GRAPH.node).map(readNode)
    this.initializers = new Map(payloadsOf(this.#graph, GRAPH.initializer).map((payload) =>
      [stringsOf(readFields(payload), TENSOR.name)[0] ?? '', payload]))
    this.inputs = payloadsOf(this.#graph, GRAPH.input).map(readValue).filter(({ name }) => !this.initializers.has(name))
    this.outputs = payloadsOf(this.#graph, GRAPH.output).map(readValue)
    this.values = payloadsOf(this.#graph, GRAPH.valueInfo).map(readValue)
    this.opset = opsetOf(this.#outer)
    this.metadata = new Map(payloadsOf(this.#outer, MODEL_FIELD.metadata).map(metadataEntry))
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
    return this.#encode(this.#leadingTo(outputs), this.initializers, [
      encodeField(GRAPH.input, encodeValue(input.name, input.shape)),
      ...outputs.map((name) => encodeField(GRAPH.output, encodeValue(name, undefined))),
    ])
  }

  /**
   * The model with other nodes, in an order they can be run in, and other weights, of which those of no node are left
   * out; its inputs and outputs stay. `opset`: what its operators are of, 13 or later.
   */
  rebuilt({ nodes, initializers, opset = this.opset, metadata }: Rebuilding): Buffer {
    const names = new Set(this.inputs.map(({ name }) => name))
    const ends = this.#graph.filter(({ number, payload }) =>
      number === GRAPH.output || (number === GRAPH.input && payload && names.has(readValue(payload).name)))
    return this.#encode(nodes, initializers, ends.map(({ bytes }) => bytes), { opset, metadata })
  }

  #encode(
    nodes: readonly OnnxNode[], initializers: ReadonlyMap<string, Buffer>, ends: readonly Buffer[],
    { opset, metadata = new Map() }: Pick<Rebuilding, 'opset' | 'metadata'> = {},
  ): Buffer {
    const used = new Set(nodes.flatMap(({ inputs }) => inputs))
    const replaced = [GRAPH.node, GRAPH.initializer, GRAPH.input, GRAPH.output, GRAPH.valueInfo] as readonly number[]
    const graph = Buffer.concat([
      ...this.#graph.filter(({ number }) => !replaced.includes(number)).map(({ bytes }) => bytes),
      ...nodes.map(({ bytes }) => bytes),
      ...[...initializers].filter(([name]) => used.has(name)).map(([, bytes]) => encodeField(GRAPH.initializer, bytes)),
      ...ends,
    ])
    const outer = this.#outer.map(({ number, bytes, payload, value }) => {
      if (number === MODEL_FIELD.graph) return encodeField(MODEL_FIELD.graph, graph)
      if (opset === undefined || opset === this.opset) return bytes
      if (number === MODEL_FIELD.irVersion) {
        return encodeVarintField(MODEL_FIELD.irVersion, Math.max(value ?? 0, IR_VERSION_OF_OPSET_13))
      }
      return number === MODEL_FIELD.opset && payload && isOnnxDomain(readFields(payload))
        ? encodeField(MODEL_FIELD.opset, encodeVarintField(OPSET.version, opset))
        : bytes
    })
    const entries = [...metadata].map(([key, value]) => encodeField(
      MODEL_FIELD.metadata, Buffer.concat([encodeField(ENTRY.key, key), encodeField(ENTRY.value, value)])))
    return Buffer.concat([...outer, ...entries])
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

export interface Rebuilding {
  nodes: readonly OnnxNode[]
  initializers: ReadonlyMap<string, Buffer>
  opset?: number | undefined
  /** Added to what the file says of itself. */
  metadata?: ReadonlyMap<string, string> | undefined
}

/** A node of one of ONNX's own operators; `attributes` are whole AttributeProtos. */
export function createNode(
  op: string, name: string, inputs: readonly string[], outputs: readonly string[], attributes: readonly Buffer[] = [],
): OnnxNode {
  return readNode(Buffer.concat([
    ...inputs.map((input) => encodeField(NODE.input, input)),
    ...outputs.map((output) => encodeField(NODE.output, output)),
    encodeField(NODE.name, name),
    encodeField(NODE.opType, op),
    ...attributes.map((attribute) => encodeField(NODE.attribute, attribute)),
  ]))
}

/** The node with another name, other inputs and outputs, and without the attributes that are named. */
export function changedNode(
  node: OnnxNode, { name = node.name, inputs = node.inputs, outputs = node.outputs, without = [] }: NodeChanges,
): OnnxNode {
  const [whole] = readFields(node.bytes)
  const kept = readFields(whole?.payload as Buffer).filter(({ number, payload }) => {
    if (number === NODE.input || number === NODE.output || number === NODE.name) return false
    return number !== NODE.attribute || !payload || !without.includes(attributeName(payload))
  })
  return readNode(Buffer.concat([
    ...inputs.map((input) => encodeField(NODE.input, input)),
    ...outputs.map((output) => encodeField(NODE.output, output)),
    encodeField(NODE.name, name),
    ...kept.map(({ bytes }) => bytes),
  ]))
}

export interface NodeChanges {
  name?: string
  inputs?: readonly string[]
  outputs?: readonly string[]
  without?: readonly string[]
}

function readNode(payload: Buffer): OnnxNode {
  const fields = readFields(payload)
  return {
    name: stringsOf(fields, NODE.name)[0] ?? '',
    op: stringsOf(fields, NODE.opType)[0] ?? '',
    inputs: stringsOf(fields, NODE.input),
    outputs: stringsOf(fields, NODE.output),
    attributes: new Map(payloadsOf(fields, NODE.attribute).map((attribute) =>
      [attributeName(attribute), readFields(attribute)])),
    bytes: encodeField(GRAPH.node, payload),
  }
}

function attributeName(attribute: Buffer): string {
  return stringsOf(readFields(attribute), ATTRIBUTE.name)[0] ?? ''
}

function opsetOf(outer: readonly Field[]): number {
  for (const payload of payloadsOf(outer, MODEL_FIELD.opset)) {
    const fields = readFields(payload)
    if (isOnnxDomain(fields)) return integersOf(fields, OPSET.version)[0] ?? 1
  }
  return 1
}

function isOnnxDomain(fields: readonly Field[]): boolean {
  return ['', 'ai.onnx'].includes(stringsOf(fields, OPSET.domain)[0] ?? '')
}

/** Key and value of a StringStringEntryProto. */
export function metadataEntry(payload: Buffer): [string, string] {
  const fields = readFields(payload)
  return [stringsOf(fields, ENTRY.key)[0] ?? '', stringsOf(fields, ENTRY.value)[0] ?? '']
}

function readValue(payload: Buffer): OnnxValue {
  const fields = readFields(payload)
  const inner = (from: readonly Field[], number: number): Field[] | undefined => {
    const [found] = payloadsOf(from, number)
    return found && readFields(found)
  }
  const tensor = inner(inner(fields, VALUE_INFO.type) ?? [], TENSOR_TYPE.tensor)
  const shape = inner(tensor ?? [], TENSOR_TYPE.shape)
  return {
    name: stringsOf(fields, VALUE_INFO.name)[0] ?? '',
    shape: shape && payloadsOf(shape, TENSOR_TYPE.dimension).map((side) => {
      const [value] = readFields(side)
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
