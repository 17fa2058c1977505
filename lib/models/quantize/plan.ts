/** Which nodes of a graph compute with 8-bit whole numbers, and how each of their tensors gets its levels. */
import type { OnnxModel, OnnxNode } from '../onnx/model.js'
import { constantOf } from '../onnx/tensor.js'

/** What a tensor's levels are chosen by. */
export type TensorLevels =
  /** Its values over pictures; `through` is what they go into, where only that sees them. */
  | { by: 'calibration'; through: 'silu' | 'identity' }
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
  /** Tensors that are not to be rounded: what writes or reads them is computed in float. */
  inFloat?: ReadonlySet<string> | undefined
}

/** They hand on the values they get. */
const MOVES = new Set(
  ['MaxPool', 'Resize', 'Slice', 'Split', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'],
)
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
  const input = model.inputs[0]?.name as string
  const leadsOn = leadsOnIn(model)
  const kept = new Set([...inFloat, ...model.outputs.map(({ name }) => name)])
  for (const node of model.nodes) {
    const isConvolution = node.op === 'Conv'
    if (!isConvolution && !MOVES.has(node.op) && !COMPUTES.has(node.op)) continue
    const read = isConvolution || MOVES.has(node.op) ? node.inputs.slice(0, 1) : node.inputs
    if (!isConvolution && !read.every((name) => tensors.has(name))) continue
    if (isConvolution && !node.inputs.slice(1).every((name) => constantOf(model, name))) continue
    const rectifier = SUMS.has(node.op) ? rectifierOf(model, node) : undefined
    const written = (rectifier ?? node).outputs
    if (!written.some(leadsOn) || [...read, ...node.outputs, ...written].some((name) => kept.has(name))) continue
    for (const name of read) {
      if (!tensors.has(name)) tensors.set(name, name === input ? { by: 'preprocessing' } : calibrated(model, name))
    }
    for (const name of written) tensors.set(name, levelsBehind(model, node, name))
    nodes.add(node)
    if (rectifier) nodes.add(rectifier)
  }
  return { nodes, tensors }
}

function levelsBehind(model: OnnxModel, node: OnnxNode, output: string): TensorLevels {
  if (MOVES.has(node.op)) return { by: 'tensor', tensor: node.inputs[0] as string }
  return node.op === 'Sigmoid' ? { by: 'unit interval' } : calibrated(model, output)
}

/** `x * sigmoid(x)` sees little of what lies far below zero. */
function calibrated(model: OnnxModel, name: string): TensorLevels {
  const consumers = model.consumers(name)
  const sigmoid = consumers.find(({ op }) => op === 'Sigmoid')
  const isSilu = consumers.length === 2 && sigmoid !== undefined &&
    consumers.some(({ op, inputs }) => op === 'Mul' && inputs.includes(sigmoid.outputs[0] as string))
  return { by: 'calibration', through: isSilu ? 'silu' : 'identity' }
}

function rectifierOf(model: OnnxModel, node: OnnxNode): OnnxNode | undefined {
  const [next, ...others] = model.consumers(node.outputs[0] as string)
  return next && others.length === 0 && RECTIFIERS.has(next.op) ? next : undefined
}

/** Whether a further layer with weights works on a value. */
export function leadsOnIn(model: OnnxModel): (value: string) => boolean {
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
