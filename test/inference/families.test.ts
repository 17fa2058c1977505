/** Every model family: constant models, whose answers are known, and real ones on real pictures. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createTask, type BoundingBox, type TaskName } from '../../lib/index.js'
import { recalled, type Box } from '../helpers/boxes.js'
import { writeConstantModel, sparse, type OutputSpec } from '../helpers/onnx.js'
import { face, people } from '../helpers/pictures.js'
import { sharedImage, sharedPath, skip, useSharedModels } from '../helpers/shared.js'

interface Reference {
  face_detection: { bbox: Box[]; prob: number[] }
  face_alignment: { bbox: Box[]; yaw_pitch_roll: number[][] }
  car_detection: { result: number[][] }
}

const BUS = 5
const PERSON = 0

if (!skip) useSharedModels()

function reference(): Record<string, Reference> {
  return JSON.parse(readFileSync(sharedPath('reference', 'results.json'), 'utf8')) as Record<string, Reference>
}

/** A model that takes 64 × 64 pixels and answers the given tensors; its family is what its name starts with. */
function constant(directory: string, name: string, ...outputs: OutputSpec[]): string {
  return writeConstantModel(join(directory, `${name}.onnx`), [{ name: 'images', shape: [1, 3, 64, 64] }], outputs)
}

function tensor(shape: readonly number[], ...entries: (readonly [number, number])[]): OutputSpec {
  return { name: `output${shape.join('x')}`, shape, values: sparse(shape, ...entries) }
}

/** Cells of the grids of 8, 16 and 32 pixels, and UltraFace's anchors in them and in that of 64 pixels. */
const [CELLS, ANCHORS] = [64 + 16 + 4, 3 * 64 + 2 * 16 + 2 * 4 + 3]

interface Known {
  output: OutputSpec[]
  task?: TaskName
  classId?: number
  letterbox: 'centre' | 'corner' | 'none'
}

/** One object of class 1: its centre is at (32, 20) of the input, it is 16 wide and 8 high, its score 0.72. */
const DETECTORS: Record<string, Known> = {
  yolov5: {
    letterbox: 'centre',
    output: [tensor([1, 3 * CELLS, 7], [0, 32], [1, 20], [2, 16], [3, 8], [4, 0.8], [6, 0.9])],
  },
  yolov8: {
    letterbox: 'centre',
    output: [tensor([1, 6, CELLS], [0, 32], [CELLS, 20], [2 * CELLS, 16], [3 * CELLS, 8], [5 * CELLS, 0.72])],
  },
  yolox: {
    letterbox: 'corner',
    output: [tensor([1, CELLS, 7], [0, 4], [1, 2.5], [2, Math.log(2)], [4, 0.8], [6, 0.9])],
  },
  ultraface: {
    letterbox: 'none', task: 'face_detection', classId: 0,
    output: [
      tensor([1, ANCHORS, 2], [1, 0.72]), tensor([1, ANCHORS, 4], [0, 0.375], [1, 0.25], [2, 0.625], [3, 0.375]),
    ],
  },
}

t.test('a detector\'s box comes back in pixels of the frame', async (t) => {
  // The frame of 1280 × 720 pixels is scaled by 1/20; 14 pixels are left above and below, or 28 below, or none.
  const heights = { centre: [40, 200], corner: [320, 480], none: [180, 270] }
  const directory = t.testdir()
  for (const [family, { output, task = 'car_detection', classId = 1, letterbox }] of Object.entries(DETECTORS)) {
    const model = constant(directory, family, ...output)
    await using detector = await createTask(task as 'car_detection', { model, asExported: true })
    const { objects: [found, ...others] } = await detector.run(people)
    t.equal(others.length, 0, family)
    t.equal(found?.classId, classId)
    t.ok(Math.abs((found?.score ?? 0) - 0.72) < 1e-5, `${family}: ${found?.score}`)
    const [top, bottom] = heights[letterbox] as [number, number]
    const apart = found?.box.map((side, index) => Math.abs(side - ([480, top, 800, bottom][index] as number))) ?? []
    t.ok(Math.max(...apart) < 1, `${family}: ${found?.box}`)
  }
})

t.test('angles: the mean of the bins for Hopenet, as they are for FSA-Net', async (t) => {
  const directory = t.testdir()
  const logits = (name: string, bin: number): OutputSpec =>
    ({ name, shape: [1, 66], values: sparse([1, 66], [bin, 100]) })
  const angles = (name: string, ...values: number[]): string => writeConstantModel(
    join(directory, `${name}.onnx`), [{ name: 'input', shape: [1, 3, 64, 64] }],
    [{ name: 'pose', shape: [1, 3], values: Float32Array.from(values) }])
  const hopenet = writeConstantModel(
    join(directory, 'hopenet.onnx'), [{ name: 'input', shape: [1, 3, 224, 224] }],
    [logits('yaw', 33), logits('pitch', 40), logits('roll', 20)])
  for (const [model, pose] of [[hopenet, [0, 21, -39]], [angles('fsanet', 10, 20, -30), [10, 20, -30]]] as const) {
    await using heads = await createTask('face_alignment', { model })
    const { poses: [found] } = await heads.run(face, [[100, 100, 300, 300]])
    t.strictSame([found?.yaw, found?.pitch, found?.roll].map((angle) => Math.round(angle ?? NaN)), pose)
  }
})

for (const model of ['ultraface-rfb-640', 'ultraface-slim-320', 'ultraface-rfb-320-raw']) {
  t.test(`${model} finds the faces the default model is sure of, and few others`, { skip }, async (t) => {
    await using faces = await createTask('face_detection', { model })
    let [sure, recovered, extra, all] = [0, 0, 0, 0]
    for (const [name, { face_detection: { bbox, prob } }] of Object.entries(reference())) {
      const { objects } = await faces.run(sharedImage(name))
      const boxes = objects.map(({ box }): Box => box)
      const certain = bbox.filter((_, index) => (prob[index] as number) > 0.95)
      sure += certain.length
      recovered += recalled(boxes, certain)
      all += boxes.length
      if (model !== 'ultraface-rfb-640') extra += boxes.length - recalled(bbox, boxes)
      for (const { score } of objects) if (!(score >= 0 && score <= 1)) t.fail(`a score of ${score}`)
    }
    t.ok(recovered >= 0.85 * sure, `${recovered} of ${sure} faces`)
    t.ok(extra <= 0.25 * all, `${extra} of ${all} boxes are elsewhere`)
  })
}

t.test('the model without built-in decoding is the default one: the same boxes', { skip }, async (t) => {
  await using plain = await createTask('face_detection', { asExported: true })
  await using raw = await createTask('face_detection', { model: 'ultraface-rfb-320-raw', asExported: true })
  for (const name of [
    'demo/people.jpg', 'helmets_reviewed/shwdrepo_8.jpg', 'wider_val416/0_Parade_Parade_0_194.jpg',
    'wider_val416/0_Parade_Parade_0_545.jpg',
  ]) {
    const image = sharedImage(name)
    const [expected, found] = [await plain.run(image), await raw.run(image)]
    t.equal(found.objects.length, expected.objects.length, name)
    t.equal(recalled(found.objects.map(({ box }): Box => box), expected.objects.map(({ box }): Box => box), 0.98),
      expected.objects.length)
    for (const [index, { score }] of found.objects.entries()) {
      t.ok(Math.abs(score - (expected.objects[index]?.score ?? NaN)) < 0.005)
    }
  }
})

t.test('YOLOX finds the bus, the people and the cars', { skip }, async (t) => {
  await using cars = await createTask('car_detection', { model: 'yolox-nano-320' })
  const { objects } = await cars.run(sharedImage('demo/street.jpg'))
  const of = (classId: number): Box[] => objects.filter((object) => object.classId === classId).map(
    ({ box }): Box => box,
  )
  t.equal(recalled(of(BUS), [[34, 229, 796, 769]], 0.8), 1)
  const people = reference()['demo/street.jpg']?.car_detection.result
    .filter(([, , , , score, id]) => id === PERSON && (score as number) > 0.8)
    .map((row) => row.slice(0, 4) as unknown as Box) ?? []
  t.equal(people.length, 3)
  t.equal(recalled(of(PERSON), people, 0.7), 3)
  t.equal(objects.find((object) => object.classId === BUS)?.label, 'bus')
  const road = await cars.run(sharedImage('traffic_unlabelled/carnd_test1.jpg'))
  t.ok(road.objects.filter(({ label }) => label === 'car').length >= 2)
})

t.test('FSA-Net, two models averaged, agrees with the labelled heads', { skip }, async (t) => {
  const rows = readFileSync(sharedPath('labels', 'aflw2000', 'pose.csv'), 'utf8').trim().split('\n').slice(1)
  const errors: Record<string, number[]> = {}
  for (const model of ['fsanet', 'hopenet']) {
    await using poses = await createTask('face_alignment', { model })
    const sums = [0, 0, 0]
    for (const row of rows) {
      const [file, ...values] = row.split(',')
      const [yaw, pitch, roll, ...box] = values.map(Number)
      const result = await poses.run(sharedImage(`aflw2000/${file}`), [box as BoundingBox])
      const pose = result.poses[0]
      for (const [axis, truth] of [yaw, pitch, roll].entries()) {
        sums[axis] = (sums[axis] as number) + Math.abs([pose?.yaw, pose?.pitch, pose?.roll][axis]! - (truth as number))
      }
    }
    errors[model] = sums.map((sum) => sum / rows.length)
    t.ok(
      errors[model].every(
        (error) => error < 15,
      ), `${model}: ${errors[model].map((e) => e.toFixed(1)).join(', ')} degrees`,
    )
  }
})

t.test('a model for another task is refused', async (t) => {
  const tasks: [TaskName, string][] = [['car_detection', 'ultraface-rfb-320'], ['face_alignment', 'yolov8n']]
  for (const [task, model] of tasks) await t.rejects(createTask(task, { model }), { code: 'BAD_OPTION' })
})
