/** The reader and writer of ONNX files, and what cuts, upgrades and describes their graphs. */
import { deepEqual, equal } from 'node:assert/strict'
import { constantModel } from '../../helpers/onnx.js'
import { cutUltraFace } from '../../../lib/models/onnx/cut-ultraface.js'
import { cutYoloV8 } from '../../../lib/models/onnx/cut-yolov8.js'
import { createNode, OnnxModel } from '../../../lib/models/onnx/model.js'
import { upgraded } from '../../../lib/models/onnx/opset.js'
import { constantOf, encodeIntegerAttribute, encodeTensor } from '../../../lib/models/onnx/tensor.js'
import { refusesOrReturns } from '../refuses-or-returns.js'

const orRefuses = <T>(act: () => T): T | undefined => refusesOrReturns((error) => error instanceof RangeError, act)

export function fuzz(input: Buffer): void {
  const model = orRefuses(() => new OnnxModel(input))
  if (!model) return
  for (const name of [...model.initializers.keys(), ...model.nodes.flatMap(({ outputs }) => outputs)]) {
    orRefuses(() => constantOf(model, name))
  }
  orRefuses(() => cutYoloV8(input))
  orRefuses(() => cutUltraFace(input))
  orRefuses(() => upgraded(model))
  const { nodes, initializers, inputs, outputs, opset } = model
  const rebuilt = new OnnxModel(model.rebuilt({ nodes, initializers, metadata: new Map([['a', 'b']]) }))
  deepEqual([rebuilt.nodes, rebuilt.inputs, rebuilt.outputs, rebuilt.opset], [nodes, inputs, outputs, opset])
  equal(rebuilt.metadata.get('a'), 'b')
  const names = nodes.flatMap((node) => node.outputs).slice(0, 2)
  const rewired = new OnnxModel(model.rewired(names, { name: 'x', shape: [1, 3, 'height', 640] }))
  deepEqual(rewired.outputs.map(({ name }) => name), names)
}

const image = { name: 'images', shape: [1, 3, 64, 64] }
const small = constantModel([image], [{ name: 'out', shape: [1, 3] }])

/** The graph of a model with these nodes. */
function rebuiltWith(...nodes: Parameters<typeof createNode>[]): Buffer {
  const model = new OnnxModel(small)
  const initializers = new Map([...model.initializers, ['w', encodeTensor('w', [2], Float32Array.of(1, 2))]])
  return model.rebuilt({ nodes: [...model.nodes, ...nodes.map((node) => createNode(...node))], initializers })
}

/** The end of a YOLOv8 or an UltraFace graph: grids, joined. */
function joined(levels: number, joins: (level: number) => Parameters<typeof createNode>[], after: string): Buffer {
  return rebuiltWith(
    ...Array.from({ length: levels }, (_, level) => joins(level)).flat(),
    ['Concat', 'join', Array.from({ length: levels }, (_, level) => `r${level}`), ['joined']],
    [after, 'after', ['joined'], ['end']])
}

export const seeds = [
  small,
  constantModel([{ name: 'in', shape: [1, 3, 'height', 'width'] }, { name: 'n', type: 'int64', shape: [2] }],
    [{ name: 'a', shape: [1, 2, 2] }, { name: 'b', shape: [] }]),
  new OnnxModel(small).rebuilt({
    nodes: ['Slice', 'Squeeze', 'Split', 'Clip', 'Pad', 'Softmax', 'Constant', 'Relu'].map((op) =>
      createNode(op, op, ['images', 'w'], [`${op}_out`], ['axis', 'axes', 'min', 'pads', 'value', 'split'].map((name) =>
        encodeIntegerAttribute(name, 1)))),
    initializers: new Map([['w', encodeTensor('w', [2], Float32Array.of(1, 2))]]),
    opset: 13,
    metadata: new Map([['names', "{0: 'face'}"]]),
  }),
  joined(3, (level) => [
    ['Conv', `b${level}`, ['images'], [`b${level}`]], ['Conv', `c${level}`, ['images'], [`c${level}`]],
    ['Concat', `j${level}`, [`b${level}`, `c${level}`], [`j${level}`]],
    ['Reshape', `r${level}`, [`j${level}`], [`r${level}`]],
  ], 'Sigmoid'),
  joined(4, (level) => [
    ['Conv', `c${level}`, ['images'], [`c${level}`]], ['Transpose', `t${level}`, [`c${level}`], [`t${level}`]],
    ['Reshape', `r${level}`, [`t${level}`], [`r${level}`]],
  ], 'Softmax'),
]
