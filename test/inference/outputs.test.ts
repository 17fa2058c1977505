/** Outputs that are not what a family's are, and values that no result can be: said, never answered. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createTask, type TaskName } from '../../lib/index.js'
import { sparse, writeConstantModel, type FileSpec, type OutputSpec } from '../helpers/onnx.js'
import { face, people } from '../helpers/pictures.js'
import { sharedPath, skip } from '../helpers/shared.js'

const directory = mkdtempSync(join(tmpdir(), 'edge-infer-outputs-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))

/** Cells of the grids of 8, 16 and 32 pixels of an input of 64 × 64. */
const CELLS = 64 + 16 + 4
const ANCHORS = 3 * 64 + 2 * 16 + 2 * 4 + 3

type Entry = readonly [index: number, value: number]

function tensor(shape: readonly number[], ...entries: readonly Entry[]): OutputSpec {
  return { name: `output${shape.join('x')}`, shape, values: sparse(shape, ...entries) }
}

function model(name: string, outputs: OutputSpec[], metadata: FileSpec['metadata'] = {}): string {
  return writeConstantModel(
    join(directory, `${name}.onnx`), [{ name: 'images', shape: [1, 3, 64, 64] }], outputs, { metadata })
}

/** One object by the first cell: its centre, size and score of class 0. */
function yolov8(channels: number, ...[x, y, width, height, score]: number[]): OutputSpec {
  const entries = [x, y, width, height, score].map((value = 0, row): Entry => [row * CELLS, value])
  return tensor([1, channels, CELLS], ...entries)
}

const GOOD = [32, 20, 16, 8, 0.7]

t.test('a model for something else says so in its metadata, its channels or its values', async (t) => {
  const boxes = yolov8(6, ...GOOD)
  const refused: [string, OutputSpec[], FileSpec['metadata'], RegExp][] = [
    ['pose', [yolov8(56, ...GOOD)], { task: 'pose' }, /family yolov8 but .*pose\.onnx answers keypoints.*task=pose/],
    ['turned', [boxes], { task: 'obb' }, /answers turned boxes.*task=obb/],
    ['masks', [boxes], { task: 'segment' }, /answers masks.*task=segment/],
    ['classes', [tensor([1, 1000])], { task: 'classify' }, /answers names for whole pictures/],
    ['keypoints', [yolov8(56, ...GOOD)], { names: "{0: 'person'}" }, /1x5x84 but has output1x56x84 float32 1x56x84/],
    ['unnamed', [tensor([1, 56, CELLS], [7 * CELLS, 330])], {}, /from 0 to 1, but has 330 among them.*keypoints/],
    ['logits', [tensor([1, 6, CELLS], [4 * CELLS, -7])], {}, /but has -7 among them.*without its sigmoid/],
    ['two', [boxes, tensor([1, 32, 16, 16])], {}, /must have the outputs 1x\(4 \+ classes\)x84 but has .*1x32x16x16/],
    ['yolov5-masks', [tensor([1, 3 * CELLS, 7]), tensor([1, 32, 16, 16])], {}, /yolov5 must have .*1x32x16x16/],
    ['names', [tensor([1, 1000])], {}, /1x\(4 \+ classes\)x84 but has output1x1000 float32 1x1000/],
  ]
  for (const [name, outputs, metadata, message] of refused) {
    await t.rejects(
      createTask('car_detection', { model: model(name, outputs, metadata) }), { code: 'MODEL_LOAD', message }, name)
  }
  const pose = model('fsanet-no', [tensor([1, 3])], { task: 'classify' })
  await t.rejects(createTask('face_alignment', { model: pose }), { code: 'MODEL_LOAD', message: /whole pictures/ })
})

t.test('the pose model of the cases is refused', { skip }, async (t) => {
  await t.rejects(createTask('car_detection', { model: sharedPath('cases', 'yolov8n-pose.onnx') }),
    { code: 'MODEL_LOAD', message: /keypoints/ })
})

t.test('a value that no result can be is a fault of the model, with its name and the value', async (t) => {
  // The second prior's box shows that they are corners.
  const flat = tensor([1, ANCHORS, 4], [0, 0.5], [1, 0.25], [2, 0.5], [3, 0.5], [6, 1], [7, 1])
  const impossible: [string, OutputSpec[], RegExp, TaskName?][] = [
    ['yolov8-nan', [yolov8(6, 32, 20, 16, 8, NaN)], /yolov8-nan\.onnx answered a score of nan.*output1x6x84 float32/],
    ['yolov8-wide', [yolov8(6, 32, 20, Infinity, 8, 0.7)], /the box \[-inf, 16, inf, 24\]/],
    ['yolov8-flat', [yolov8(6, 32, 20, 16, 0, 0.7)], /the box \[24, 20, 40, 20\]/],
    ['yolov8-turned', [yolov8(6, 32, 20, -16, 8, 0.7)], /the box \[40, 16, 24, 24\]/],
    ['yolov5-nan', [tensor([1, 3 * CELLS, 7], [4, NaN])], /yolov5-nan\.onnx answered a score of nan/],
    ['yolov5-class', [tensor([1, 3 * CELLS, 7], [4, 0.9], [5, NaN])], /a score of nan/],
    ['yolox-nan', [tensor([1, CELLS, 7], [4, NaN])], /a score of nan/],
    ['yolox-huge', [tensor([1, CELLS, 7], [0, 0.5], [2, 1], [3, Infinity], [4, 1], [5, 1])], /the box \[.*inf/],
    ['ultraface-nan', [tensor([1, ANCHORS, 2], [1, NaN]), tensor([1, ANCHORS, 4])], /a score of nan/, 'face_detection'],
    ['ultraface-flat', [tensor([1, ANCHORS, 2], [1, 0.9]), flat], /the box \[32, 16, 32, 32\]/, 'face_detection'],
  ]
  for (const [name, outputs, message, task = 'car_detection'] of impossible) {
    await using detector = await createTask(task as 'car_detection', { model: model(name, outputs) })
    await t.rejects(detector.run(people), { code: 'MODEL_OUTPUT', message }, name)
  }
  for (const [name, angle] of [['fsanet-nan', NaN], ['fsanet-far', 500]] as const) {
    await using poses = await createTask('face_alignment', { model: model(name, [tensor([1, 3], [1, angle])]) })
    await t.rejects(poses.run(face, [[100, 100, 300, 300]]),
      { code: 'MODEL_OUTPUT', message: new RegExp(`${name}\\.onnx answered the angles 0, ${angle}, 0`.toLowerCase()) })
  }
})

t.test('what rounding and the edge of the picture do is no fault', async (t) => {
  const found = async (name: string, ...values: number[]): Promise<unknown> => {
    await using detector = await createTask('car_detection', { model: model(name, [yolov8(6, ...values)]) })
    return (await detector.run(people)).objects.map(({ score, box }) => [score, ...box.map(Math.round)])
  }
  // 20 input pixels are a frame's pixel each; 14 rows are border above and below.
  t.strictSame(await found('yolov8-sure', 32, 20, 16, 8, 1.0000001), [[1, 480, 40, 800, 200]])
  t.strictSame(await found('yolov8-quantised', 32, 20, 16, 8, 1.004), [[1, 480, 40, 800, 200]])
  t.strictSame(await found('yolov8-outside', 32, 5, 16, 8, 0.9), [], 'wholly in the border')
  t.strictSame(await found('yolov8-edge', 64, 20, 16, 8, 0.5), [[0.5, 1120, 40, 1280, 200]])
})

t.test('classes have the names that the file gives them', async (t) => {
  for (const [name, names] of Object.entries({
    dictionary: `{0: 'worker\\'s', 1: "hat, red"}`, list: `['worker\\'s', "hat, red"]`,
    json: `{"0": "worker's", "1": "hat, red"}`,
  })) {
    await using detector = await createTask('car_detection', { model: model(name, [yolov8(6, ...GOOD)], { names }) })
    t.strictSame(detector.model.entry.labels, ["worker's", 'hat, red'], name)
    t.equal((await detector.run(people)).objects[0]?.label, "worker's")
  }
  for (const names of ["{1: 'a', 0: 'b'}", '{}', 'unknown', "{7: 'x', 99999999999: 'y'}"]) {
    await using detector = await createTask('car_detection', { model: model('odd', [yolov8(6, ...GOOD)], { names }) })
    t.equal((await detector.run(people)).objects[0]?.label, '0', names)
  }
})

t.test('helmet_detection takes no model that has no class to count', async (t) => {
  const good = model('yolov8-yard', [yolov8(6, ...GOOD)], { names: "{0: 'head', 1: 'helmet'}" })
  await using helmets = await createTask('helmet_detection', { model: good })
  t.equal((await helmets.run(people)).objects[0]?.label, 'head')
  for (const [name, metadata, message] of [
    ['yolov8-none', {}, /with a class "head" but .*yolov8-none\.onnx names no classes\. Name them in a catalogue/],
    ['yolov8-hats', { names: "{0: 'hat', 1: 'person'}" }, /yolov8-hats\.onnx has hat, person/],
  ] as const) {
    await t.rejects(createTask('helmet_detection', { model: model(name, [yolov8(6, ...GOOD)], metadata) }),
      { code: 'BAD_OPTION', message })
  }
})

t.test('a YOLOX export that decodes its boxes is known by its values', { skip }, async (t) => {
  await using cars = await createTask('car_detection', { model: sharedPath('cases', 'yolox-decoded-const.onnx') })
  const { objects } = await cars.run(sharedPath('cases', 'sq.png'))
  t.strictSame(objects.map(({ box }) => box), [[270, 290, 370, 350]])
})
