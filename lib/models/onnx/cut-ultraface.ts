/**
 * UltraFace without the end of its graph. Exports turn the convolutions of four grids into lists, join these, and
 * decode
 * every prior; cut before that, only the priors that can pass the threshold are decoded, natively.
 */
import { OnnxModel, type CutModel, type OnnxNode } from './model.js'

/** The grids of strides 8, 16, 32 and 64. */
const LEVELS = 4

/**
 * The file cut before its decode: outputs the class logits of each grid, then the box offsets of each. Undefined where
 * the graph is not of that form.
 */
export function cutUltraFace(file: Buffer): CutModel | undefined {
  const model = new OnnxModel(file)
  const [input] = model.inputs
  if (model.inputs.length !== 1 || !input || input.shape?.length !== 4) return undefined
  const [, channels, height, width] = input.shape
  if (channels !== 3 || typeof height !== 'number' || typeof width !== 'number') return undefined
  const joins = model.nodes.filter(({ op, inputs }) => op === 'Concat' && inputs.length === LEVELS)
    .flatMap((join) => {
      const convolutions = join.inputs.map((value) => convolutionOf(model, value))
      return convolutions.every((value) => value !== undefined) ? [{ join, convolutions }] : []
    })
  const isScores = ({ join }: { join: OnnxNode }): boolean =>
    join.outputs.some((value) => model.consumers(value).some(({ op }) => op === 'Softmax'))
  const [scores, boxes] = [joins.find(isScores), joins.find((candidate) => !isScores(candidate))]
  if (joins.length !== 2 || !scores || !boxes) return undefined
  return {
    file: model.rewired(
      [...scores.convolutions, ...boxes.convolutions], { name: input.name, shape: [1, 3, height, width] }),
    inputSize: { width, height },
  }
}

/** The convolution whose output, transposed and reshaped, is `joined`. */
function convolutionOf(model: OnnxModel, joined: string): string | undefined {
  const before = (value: string | undefined, op: string): string | undefined => {
    const producer = value === undefined ? undefined : model.producer(value)
    return producer?.op === op ? producer.inputs[0] : undefined
  }
  const convolved = before(before(joined, 'Reshape'), 'Transpose')
  return before(convolved, 'Conv') === undefined ? undefined : convolved
}
