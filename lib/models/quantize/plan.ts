/** Which nodes of a graph compute with 8-bit whole numbers, and how each of their tensors gets its levels. */
import type { OnnxModel, OnnxNode } from '../onnx/model.js'
import { constantOf } from '../onnx/tensor.js'

/** What a tensor's levels are chosen by. */
export type TensorLevels =
  /** Its values over pictures; `through` is what they go into, where only that sees them. */
  | { by: 'observation'; through: 'silu' | 'identity' }
  /** Those of another tensor, which it has the values of. */
  | { by: 'tensor'; tensor: string }
  /** The model's input: its preprocessing tells. */
  | { by: 'preprocessing' }
  /** The values of a sigmoid. */
  | { by: 'unit interval' }

export interface QuantizationPlan {
  /** Those that ONNX Runtime has in whole numbers and that are to be computed so. */
  nodes: ReadonlySet<OnnxNode>
  /** Every tensor they read or write, in the graph's order. */
  tensors: ReadonlyMap<string, TensorLevels>
}

export interface PlanOptions {
  /** Names of convolutions' outputs that are to be computed in float. */
  inFloat?: ReadonlySet<string> | undefined
}

/** They hand on the values they get. */
const MOVES = new Set(['MaxPool', 'Resize', 'Slice', 'Split', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])
const COMPUTES = new Set(['Sigmoid', 'LeakyRelu', 'Mul', 'Add', 'Concat', 'AveragePool', 'GlobalAveragePool'])
const WEIGHTED = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])
/** Behind these a convolution's values are results, not what a further layer works on. */
const ENDS = new Set(['Softmax', 'Shape', 'Exp', 'ArgMax', 'TopK', 'NonMaxSuppression'])
const SUMS = new Set(['Conv', 'Add'])
/** Behind sums they cost nothing: what they cut off, the levels do. */
const RECTIFIERS = new Set(['Relu', 'Clip'])

/**
 * All convolutions whose results further layers work on, and what lies between them. The last ones of each head stay
 * in float: they write the coordinates and scores, few compute so little, and none loses as much.
 */
export function planQuantization(model: OnnxModel, { inFloat = new Set() }: PlanOptions = {}): QuantizationPlan {
  const nodes = new Set<OnnxNode>()
  const tensors = new Map<string, TensorLevels>()
  const results = new Set(model.outputs.map(({ name }) => name))
  const input = model.inputs[0]?.name as string
  const leadsOn = leadsOnIn(model)
  const read = (name: string): void => {
    if (!tensors.has(name)) tensors.set(name, name === input ? { by: 'preprocessing' } : observed(model, name))
  }
  const add = (node: OnnxNode): void => {
    nodes.add(node)
    const rectifier = SUMS.has(node.op) ? rectifierOf(model, node, results) : undefined
    if (rectifier) add(rectifier)
    else for (const name of node.outputs) tensors.set(name, levelsBehind(model, node, name))
  }
  for (const node of model.nodes) {
    const [output] = node.outputs as [string]
    if (node.outputs.some((name) => results.has(name))) continue
    if (node.op === 'Conv') {
      const isConstant = node.inputs.slice(1).every((name) => constantOf(model, name) !== undefined)
      if (!isConstant || inFloat.has(output) || !leadsOn(output)) continue
      read(node.inputs[0] as string)
      add(node)
    } else if (MOVES.has(node.op) || COMPUTES.has(node.op)) {
      const inputs = MOVES.has(node.op) ? node.inputs.slice(0, 1) : node.inputs
      if (!inputs.every((name) => tensors.has(name)) || !node.outputs.some(leadsOn)) continue
      add(node)
    }
  }
  return { nodes, tensors }
}

function levelsBehind(model: OnnxModel, node: OnnxNode, output: string): TensorLevels {
  if (MOVES.has(node.op)) return { by: 'tensor', tensor: node.inputs[0] as string }
  return node.op === 'Sigmoid' ? { by: 'unit interval' } : observed(model, output)
}

/** `x * sigmoid(x)` sees little of what lies far below zero. */
function observed(model: OnnxModel, name: string): TensorLevels {
  const consumers = model.consumers(name)
  const sigmoid = consumers.find(({ op }) => op === 'Sigmoid')
  const isSilu = consumers.length === 2 && sigmoid !== undefined &&
    consumers.some(({ op, inputs }) => op === 'Mul' && inputs.includes(sigmoid.outputs[0] as string))
  return { by: 'observation', through: isSilu ? 'silu' : 'identity' }
}

function rectifierOf(model: OnnxModel, node: OnnxNode, results: ReadonlySet<string>): OnnxNode | undefined {
  const [next, ...others] = model.consumers(node.outputs[0] as string)
  if (!next || others.length > 0 || !RECTIFIERS.has(next.op)) return undefined
  return results.has(next.outputs[0] as string) ? undefined : next
}

/** Whether a further layer with weights works on a value. */
function leadsOnIn(model: OnnxModel): (value: string) => boolean {
  const known = new Map<string, boolean>()
  const leadsOn = (value: string): boolean => {
    const before = known.get(value)
    if (before !== undefined) return before
    known.set(value, false)
    const result = model.consumers(value).some(({ op, outputs }) =>
      WEIGHTED.has(op) || (!ENDS.has(op) && outputs.some(leadsOn)))
    known.set(value, result)
    return result
  }
  return leadsOn
}
