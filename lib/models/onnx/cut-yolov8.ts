/**
 * YOLOv8 without the end of its graph. Exports decode every cell of every grid (a softmax of 64 numbers, a sigmoid of
 * each class) in graph nodes that were fixed to one input size. Cut before that, the network takes any height and width
 * that are multiples of 32, and only the cells that can pass the threshold are decoded, natively.
 */
import { OnnxModel, type CutModel, type OnnxNode } from './model.js'

/** The grids of strides 8, 16 and 32. */
const LEVELS = 3

/**
 * The file cut before its decode: outputs box and class logits of stride 8, of stride 16, of stride 32, the input
 * 1×3×height×width. Undefined where the graph is not of that form.
 */
export function cutYoloV8(file: Buffer): CutModel | undefined {
  const model = new OnnxModel(file)
  const [input] = model.inputs
  const [output] = model.outputs
  if (model.inputs.length !== 1 || model.outputs.length !== 1 || !input || !output) return undefined
  if (input.shape?.length !== 4 || input.shape[1] !== 3) return undefined
  const heads = findHeads(model)
  if (!heads) return undefined
  const [, , height, width] = input.shape
  return {
    file: model.rewired(heads, { name: input.name, shape: [1, 3, 'height', 'width'] }),
    inputSize: typeof width === 'number' && typeof height === 'number' ? { width, height } : undefined,
  }
}

/**
 * A Concat joins the levels, each of which is a Reshape. Of what, depends on the exporter's version: a Concat of the
 * level's box and class convolutions, or one of them, and then boxes and classes are joined apart, to meet in a softmax
 * and a sigmoid. The first of either form from the end of the graph.
 */
function findHeads(model: OnnxModel): string[] | undefined {
  const joins = [...model.nodes].reverse().filter(({ op, inputs }) => op === 'Concat' && inputs.length === LEVELS)
  for (const join of joins) {
    const heads = join.inputs.map((value) => headOf(model, value))
    if (heads.every((head) => head !== undefined)) return heads.flat()
  }
  const apart = joins.flatMap((join) => {
    const convolutions = join.inputs.map((value) => convolutionOf(model, value))
    return convolutions.every((value) => value !== undefined) ? [{ join, convolutions }] : []
  })
  const isClasses = ({ join }: { join: OnnxNode }): boolean =>
    join.outputs.some((value) => model.consumers(value).some(({ op }) => op === 'Sigmoid'))
  const [classes, boxes] = [apart.find(isClasses), apart.find((candidate) => !isClasses(candidate))]
  return classes && boxes?.convolutions.flatMap((box, level) => [box, classes.convolutions[level] as string])
}

/** The convolution that is reshaped into `joined`. */
function convolutionOf(model: OnnxModel, joined: string): string | undefined {
  const reshape = model.producer(joined)
  const [value] = reshape?.op === 'Reshape' ? reshape.inputs : []
  return value !== undefined && model.producer(value)?.op === 'Conv' ? value : undefined
}

function headOf(model: OnnxModel, joined: string): [string, string] | undefined {
  const reshape = model.producer(joined)
  const concat = reshape?.op === 'Reshape' ? producerOfFirst(model, reshape) : undefined
  if (concat?.op !== 'Concat' || concat.inputs.length !== 2) return undefined
  const [box, classes] = concat.inputs as [string, string]
  const convolved = [box, classes].every((value) => model.producer(value)?.op === 'Conv')
  return convolved ? [box, classes] : undefined
}

function producerOfFirst(model: OnnxModel, node: OnnxNode): OnnxNode | undefined {
  const [first] = node.inputs
  return first === undefined ? undefined : model.producer(first)
}
