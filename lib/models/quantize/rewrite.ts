/**
 * A graph with its values rounded to 8-bit levels between the nodes of a plan (the QDQ form): a runtime that has a node
 * in whole numbers takes the roundings round it into it, and others run the graph as it is written.
 */
import type { OnnxModel } from '../onnx/model.js'
import { createNode, changedNode, type OnnxNode } from '../onnx/model.js'
import { constantOf, encodeIntegerAttribute, encodeTensor, type FloatTensor } from '../onnx/tensor.js'
import type { Levels } from './levels.js'
import type { QuantizationPlan } from './plan.js'

/** Weights lie between minus this and this. Half of it keeps sums of two products within 16 bits. */
const WEIGHT_LEVELS = 127
const REDUCED_WEIGHT_LEVELS = 63
/** Well within 32 bits, so that the products of a whole convolution can be added to it. */
const LARGEST_BIAS = 2 ** 30
const CHANNEL_AXIS = 0

export interface RewriteOptions {
  /** Weights of 7 bits. */
  reduceRange: boolean
  metadata: ReadonlyMap<string, string>
}

export function withLevels(
  model: OnnxModel, plan: QuantizationPlan, levels: ReadonlyMap<string, Levels>,
  { reduceRange, metadata }: RewriteOptions,
): Buffer {
  const initializers = new Map(model.initializers)
  const nodes: OnnxNode[] = []
  const store = (name: string, shape: readonly number[], data: Parameters<typeof encodeTensor>[2]): string => {
    initializers.set(name, encodeTensor(name, shape, data))
    return name
  }
  const dequantize = (name: string, inputs: readonly string[], attributes: readonly Buffer[] = []): string => {
    nodes.push(createNode('DequantizeLinear', `${name}_DequantizeLinear`, inputs, [name], attributes))
    return name
  }
  const round = (tensor: string): void => {
    const { scale, zeroPoint } = levels.get(tensor) as Levels
    const parameters = [
      store(`${tensor}_scale`, [], Float32Array.of(scale)), store(`${tensor}_zero_point`, [], Uint8Array.of(zeroPoint)),
    ]
    const quantized = `${tensor}_quantized`
    nodes.push(createNode('QuantizeLinear', `${tensor}_QuantizeLinear`, [tensor, ...parameters], [quantized]))
    dequantize(roundedName(tensor), [quantized, ...parameters])
  }
  const perChannel = (
    name: string, { shape }: FloatTensor, whole: Int8Array | Int32Array, scales: Float32Array,
  ): string => dequantize(
    `${name}_dequantized`, [store(`${name}_quantized`, shape, whole), store(`${name}_scale`, [scales.length], scales)],
    [encodeIntegerAttribute('axis', CHANNEL_AXIS)])
  const convolution = (node: OnnxNode): OnnxNode => {
    const [input, weightName, biasName] = node.inputs as [string, string, string?]
    const weights = constantOf(model, weightName) as FloatTensor
    const bias = biasName ? constantOf(model, biasName) : undefined
    const inputScale = (levels.get(input) as Levels).scale
    const largest = reduceRange ? REDUCED_WEIGHT_LEVELS : WEIGHT_LEVELS
    const { whole, scales } = wholeWeights(weights, largest, inputScale, bias)
    // Named by the node's output: several nodes may share weights.
    const [output] = node.outputs as [string]
    const inputs = [roundedName(input), perChannel(`${output}_weights`, weights, whole, scales)]
    if (bias) {
      const biasScales = scales.map((scale) => scale * inputScale)
      const wholeBias = Int32Array.from(
        bias.data, (value, channel) => Math.round(value / (biasScales[channel] as number)),
      )
      inputs.push(perChannel(`${output}_bias`, bias, wholeBias, biasScales))
    }
    return changedNode(node, { inputs })
  }
  for (const { name } of model.inputs) if (plan.tensors.has(name)) round(name)
  for (const node of model.nodes) {
    const isWhole = plan.nodes.has(node) && node.op === 'Conv'
    nodes.push(isWhole ? convolution(node) : changedNode(node, {
      inputs: node.inputs.map((name) => plan.tensors.has(name) ? roundedName(name) : name),
    }))
    for (const name of node.outputs) if (plan.tensors.has(name)) round(name)
  }
  return model.rebuilt({ nodes, initializers, metadata })
}

function roundedName(tensor: string): string {
  return `${tensor}_dequantized`
}

/** The largest weight of each output channel gets the largest level. */
function wholeWeights(
  { shape, data }: FloatTensor, largest: number, inputScale: number, bias: FloatTensor | undefined,
): { whole: Int8Array; scales: Float32Array } {
  const [channels = 0] = shape
  const perChannel = data.length / channels
  const scales = Float32Array.from({ length: channels }, (_, channel) => {
    const magnitude = data.subarray(channel * perChannel, (channel + 1) * perChannel)
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const leastForBias = Math.abs(bias?.data[channel] ?? 0) / (inputScale * LARGEST_BIAS)
    return Math.max(magnitude / largest, leastForBias) || 1
  })
  const whole = Int8Array.from(data, (value, at) => {
    const level = Math.round(value / (scales[Math.floor(at / perChannel)] as number))
    return Math.min(Math.max(level, -largest), largest)
  })
  return { whole, scales }
}
