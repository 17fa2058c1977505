/** What rounding one layer's values changes in a model's results, all else being computed in float. */
import type { TensorStatistics } from '../../native.js'
import { changedNode, createNode, OnnxModel, type OnnxNode } from '../onnx/model.js'
import { encodeTensor } from '../onnx/tensor.js'
import { calibrateTensors, type CalibrationOptions } from './calibrate.js'
import type { CatalogEntry } from '../types.js'
import type { Levels } from './levels.js'
import { leadsOnIn, type QuantizationPlan } from './plan.js'

/** The tensors of one layer: what a convolution, a sum or a concatenation writes, and its activation. */
export type Layer = readonly string[]

/**
 * The layers of a plan, the ones first whose rounding changes most: the squared change of what the heads' last
 * convolutions write (where there are none, of the model's outputs), as a share of its square.
 */
export async function rankLayers(
  model: OnnxModel, entry: CatalogEntry, plan: QuantizationPlan, levels: ReadonlyMap<string, Levels>,
  options: CalibrationOptions,
): Promise<Layer[]> {
  const results = resultsOf(model, plan)
  const layers = layersOf(model, plan)
  const ranked: { layer: Layer; change: number }[] = []
  for (const [index, layer] of layers.entries()) {
    options.onProgress?.(index, layers.length)
    const { rounded, differences } = withRoundedLayer(model, layer, levels, results)
    if (differences.length === 0) continue
    const compared = differences.map(({ result }) => result)
    const statistics = await calibrateTensors(
      rounded, entry, [...differences.map(({ name }) => name), ...compared], { ...options, onProgress: undefined })
    const change = differences.reduce((sum, { name, result }) =>
      sum + power(statistics.get(name)) / (power(statistics.get(result)) || 1), 0)
    ranked.push({ layer, change })
  }
  return ranked.sort((a, b) => b.change - a.change).map(({ layer }) => layer)
}

function resultsOf(model: OnnxModel, plan: QuantizationPlan): string[] {
  const leadsOn = leadsOnIn(model)
  const last = model.nodes.filter((node) => node.op === 'Conv' && !plan.nodes.has(node))
    .flatMap(({ outputs }) => outputs).filter((name) => !leadsOn(name))
  return last.length > 0 ? last : model.outputs.map(({ name }) => name)
}

function layersOf(model: OnnxModel, plan: QuantizationPlan): Layer[] {
  const layers: string[][] = []
  const layerOf = new Map<string, string[]>()
  for (const node of model.nodes) {
    const written = node.outputs.filter((name) => plan.tensors.has(name))
    if (!plan.nodes.has(node) || written.length === 0) continue
    // An activation has no input but what its convolution writes.
    const before = node.op === 'Sigmoid' || node.op === 'LeakyRelu' || node.op === 'Mul'
      ? layerOf.get(node.inputs[0] as string)
      : undefined
    const layer = before ?? []
    if (!before) layers.push(layer)
    layer.push(...written)
    for (const name of written) layerOf.set(name, layer)
  }
  return layers
}

interface Difference {
  /** The tensor that holds it. */
  name: string
  result: string
}

/** The model with a second path, from the layer on, in which the layer's values are rounded. */
function withRoundedLayer(
  model: OnnxModel, layer: Layer, levels: ReadonlyMap<string, Levels>, results: readonly string[],
): { rounded: OnnxModel; differences: Difference[] } {
  const initializers = new Map(model.initializers)
  const second = new Map<string, string>()
  const nodes: OnnxNode[] = []
  const round = (tensor: string, values: string): void => {
    const { scale, zeroPoint } = levels.get(tensor) as Levels
    const parameters = [`${tensor}_scale`, `${tensor}_zero_point`] as const
    initializers.set(parameters[0], encodeTensor(parameters[0], [], Float32Array.of(scale)))
    initializers.set(parameters[1], encodeTensor(parameters[1], [], Uint8Array.of(zeroPoint)))
    const [whole, rounded] = [`${tensor}_whole`, `${tensor}_rounded`]
    nodes.push(
      createNode('QuantizeLinear', whole, [values, ...parameters], [whole]),
      createNode('DequantizeLinear', rounded, [whole, ...parameters], [rounded]),
    )
    second.set(tensor, rounded)
  }
  for (const node of model.nodes) {
    nodes.push(node)
    if (node.inputs.some((name) => second.has(name))) {
      const outputs = node.outputs.map((name) => `${name}_second`)
      const inputs = node.inputs.map((name) => second.get(name) ?? name)
      nodes.push(changedNode(node, { name: outputs[0] as string, inputs, outputs }))
      for (const [index, name] of node.outputs.entries()) second.set(name, outputs[index] as string)
    }
    for (const name of node.outputs) if (layer.includes(name)) round(name, second.get(name) ?? name)
  }
  const differences = results.filter((name) => second.has(name)).map((result) => ({ result, name: `${result}_change` }))
  for (const { result, name } of differences) {
    nodes.push(createNode('Sub', name, [result, second.get(result) as string], [name]))
  }
  return { rounded: new OnnxModel(model.rebuilt({ nodes, initializers })), differences }
}

/** Sum of the squares. */
function power(statistics: TensorStatistics | undefined): number {
  if (!statistics) return 0
  const { histogram, range } = statistics
  const width = (2 * range) / histogram.length
  return histogram.reduce((sum, count, bin) => sum + count * ((bin + 0.5) * width - range) ** 2, 0)
}
