/** Scalings that follow a convolution, made part of its weights: in whole numbers they would be a step of their own. */
import { changedNode, OnnxModel, type OnnxNode } from '../onnx/model.js'
import { constantOf, encodeTensor, floatAttribute } from '../onnx/tensor.js'

const DEFAULT_EPSILON = 1e-5

/** `y = x * scale + shift`, by channel. */
interface Scaling {
  scale: (channel: number) => number
  shift: (channel: number) => number
}

/** The model without the batch normalisations and the multiplications by one number that follow convolutions. */
export function folded(model: OnnxModel): OnnxModel {
  const initializers = new Map(model.initializers)
  const gone = new Set<OnnxNode>()
  const changed = new Map<OnnxNode, OnnxNode>()
  for (const convolution of model.nodes.filter(({ op }) => op === 'Conv')) {
    const [output] = convolution.outputs as [string]
    const [next, ...others] = model.consumers(output)
    const scaling = next && others.length === 0 ? scalingOf(model, next, output) : undefined
    if (!next || !scaling || model.outputs.some(({ name }) => name === output)) continue
    const [input, weightName, biasName] = convolution.inputs as [string, string, string?]
    const weights = constantOf(model, weightName)
    const bias = biasName ? constantOf(model, biasName) : undefined
    if (!weights || (biasName && !bias)) continue
    const [channels = 0] = weights.shape
    const perChannel = weights.data.length / channels
    const names = { weights: `${next.outputs[0]}_folded_weights`, bias: `${next.outputs[0]}_folded_bias` }
    const scaled = weights.data.map((value, at) => value * scaling.scale(Math.floor(at / perChannel)))
    const shifted = Float32Array.from({ length: channels }, (_, channel) =>
      (bias?.data[channel] ?? 0) * scaling.scale(channel) + scaling.shift(channel))
    initializers.set(names.weights, encodeTensor(names.weights, weights.shape, scaled))
    initializers.set(names.bias, encodeTensor(names.bias, [channels], shifted))
    changed.set(convolution, changedNode(convolution, {
      inputs: [input, names.weights, names.bias], outputs: [next.outputs[0] as string],
    }))
    gone.add(next)
  }
  if (gone.size === 0) return model
  const nodes = model.nodes.filter((node) => !gone.has(node)).map((node) => changed.get(node) ?? node)
  return new OnnxModel(model.rebuilt({ nodes, initializers }))
}

function scalingOf(model: OnnxModel, node: OnnxNode, input: string): Scaling | undefined {
  if (node.op === 'Mul') {
    const factor = constantOf(model, node.inputs.find((name) => name !== input) ?? '')
    const value = factor?.data.length === 1 ? factor.data[0] : undefined
    return value === undefined ? undefined : { scale: () => value, shift: () => 0 }
  }
  if (node.op !== 'BatchNormalization' || node.inputs[0] !== input || node.outputs.length !== 1) return undefined
  const [scale, bias, mean, variance] = node.inputs.slice(1).map((name) => constantOf(model, name)?.data)
  if (!scale || !bias || !mean || !variance) return undefined
  const epsilon = floatAttribute(node, 'epsilon') ?? DEFAULT_EPSILON
  const factor = (channel: number): number =>
    (scale[channel] as number) / Math.sqrt((variance[channel] as number) + epsilon)
  return {
    scale: factor,
    shift: (channel) => (bias[channel] as number) - (mean[channel] as number) * factor(channel),
  }
}
