/**
 * Models of older operator sets in the terms of version 13, the first in which weights can be quantised channel by
 * channel: attributes that have become inputs are made inputs. What the operators compute stays the same.
 */
import { changedNode, createNode, OnnxModel, type OnnxNode } from './model.js'
import { encodeIntegerAttribute, encodeTensor, floatAttribute, integerAttribute, integersAttribute } from './tensor.js'

export const PER_CHANNEL_OPSET = 13
const OLDEST_OPSET = 7

/** Operators whose meaning and form are the same in the versions 7 to 13. */
const UNCHANGED = new Set([
  'Abs', 'Add', 'And', 'AveragePool', 'BatchNormalization', 'Cast', 'Concat', 'Constant', 'ConstantOfShape', 'Conv',
  'ConvTranspose', 'Div', 'Equal', 'Exp', 'Expand', 'Flatten', 'Floor', 'Gather', 'Gemm', 'GlobalAveragePool',
  'GlobalMaxPool', 'Greater', 'HardSigmoid', 'Identity', 'LeakyRelu', 'Less', 'Log', 'MatMul', 'Max', 'MaxPool', 'Min',
  'Mul', 'Neg', 'Not', 'Or', 'PRelu', 'Pow', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'Relu', 'Reshape', 'Shape',
  'Sigmoid', 'Sqrt', 'Sub', 'Tanh', 'Tile', 'Transpose', 'Where',
])
/** Operators that have had their form of today since that version. */
const UNCHANGED_SINCE: Readonly<Record<string, number>> = { Slice: 10, Resize: 11, Pad: 11, Clip: 11, Dropout: 12 }

/** @throws RangeError naming the operator that has no equal in version 13, or the version that is too old. */
export function upgraded(model: OnnxModel): OnnxModel {
  if (model.opset >= PER_CHANNEL_OPSET) return model
  if (model.opset < OLDEST_OPSET) {
    throw new RangeError(`its operator set is version ${model.opset}, and one of ${OLDEST_OPSET} or later is needed`)
  }
  const initializers = new Map(model.initializers)
  const nodes = model.nodes.map((node, index) => {
    const input = (what: string, data: Float32Array | BigInt64Array, shape: number[]): string => {
      const name = `${node.outputs[0]}_${what}_${index}`
      initializers.set(name, encodeTensor(name, shape, data))
      return name
    }
    return upgradedNode(model, node, input)
  })
  return new OnnxModel(model.rebuilt({ nodes, initializers, opset: PER_CHANNEL_OPSET }))
}

type AddInput = (what: string, data: Float32Array | BigInt64Array, shape: number[]) => string

function upgradedNode(model: OnnxModel, node: OnnxNode, add: AddInput): OnnxNode {
  const moved = (attributes: readonly string[], needed = true): OnnxNode => {
    if (needed && !node.attributes.has(attributes[0] as string)) return node
    const inputs = attributes.map((name) => {
      const values = integersAttribute(node, name)
      return values ? add(name, BigInt64Array.from(values, BigInt), [values.length]) : ''
    })
    while (inputs.at(-1) === '') inputs.pop()
    return changedNode(node, { inputs: [...node.inputs, ...inputs], without: attributes })
  }
  if (UNCHANGED.has(node.op) || (UNCHANGED_SINCE[node.op] ?? Infinity) <= model.opset) return node
  switch (node.op) {
    case 'Slice': return moved(['starts', 'ends', 'axes'])
    case 'Squeeze': case 'Unsqueeze': case 'ReduceSum': return moved(['axes'])
    case 'Split': return moved(['split'])
    case 'Clip': {
      const bound = (name: string): string =>
        node.attributes.has(name) ? add(name, Float32Array.of(floatAttribute(node, name) as number), []) : ''
      return changedNode(node, { inputs: [...node.inputs, bound('min'), bound('max')], without: ['min', 'max'] })
    }
    case 'Pad': {
      const pads = integersAttribute(node, 'pads') ?? []
      const inputs = [add('pads', BigInt64Array.from(pads, BigInt), [pads.length])]
      if (node.attributes.has('value')) {
        inputs.push(add('value', Float32Array.of(floatAttribute(node, 'value') as number), []))
      }
      return changedNode(node, { inputs: [...node.inputs, ...inputs], without: ['pads', 'value'] })
    }
    case 'Softmax': return upgradedSoftmax(model, node)
    default: throw new RangeError(`the operator ${node.op} of version ${model.opset} cannot be written in version 13`)
  }
}

/** Over all axes from the one that is named; since version 13 over that one only. The same thing for the last. */
function upgradedSoftmax(model: OnnxModel, node: OnnxNode): OnnxNode {
  const axis = integerAttribute(node, 'axis') ?? 1
  const rank = [...model.outputs, ...model.values].find(({ name }) => name === node.outputs[0])?.shape?.length
  if (axis !== -1 && (rank === undefined || axis !== rank - 1)) {
    throw new RangeError(
      `the softmax of version ${model.opset} over the axes from ${axis} cannot be written in version 13`,
    )
  }
  if (node.attributes.has('axis')) return node
  return createNode('Softmax', node.name, node.inputs, node.outputs, [encodeIntegerAttribute('axis', axis)])
}
