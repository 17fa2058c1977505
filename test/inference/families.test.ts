/** Every model family the catalogue knows, on real pictures. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { createTask, type BoundingBox, type TaskName } from '../../lib/index.js'
import { recalled, type Box } from '../helpers/boxes.js'
import { shared, sharedImage, sharedPath, skip, useSharedModels } from '../helpers/shared.js'

interface Reference {
  face_detection: { bbox: Box[]; prob: number[] }
  face_alignment: { bbox: Box[]; yaw_pitch_roll: number[][] }
  car_detection: { result: number[][] }
}

const BUS = 5
const PERSON = 0

if (!shared.present) {
  t.pass(`the families were not run on real pictures: ${shared.why}`)
} else {
  useSharedModels()
  const reference = JSON.parse(readFileSync(sharedPath('reference', 'results.json'), 'utf8')) as Record<string, Reference>

  for (const model of ['ultraface-rfb-640', 'ultraface-slim-320', 'ultraface-rfb-320-raw']) {
    t.test(`${model} finds the faces the default model is sure of, and few others`, async (t) => {
      await using faces = await createTask('face_detection', { model })
      let [sure, recovered, extra, all] = [0, 0, 0, 0]
      for (const [name, { face_detection: { bbox, prob } }] of Object.entries(reference)) {
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

  t.test('the model without built-in decoding is the default one: the same boxes', async (t) => {
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

  t.test('YOLOX finds the bus, the people and the cars', async (t) => {
    await using cars = await createTask('car_detection', { model: 'yolox-nano-320' })
    const { objects } = await cars.run(sharedImage('demo/street.jpg'))
    const of = (classId: number): Box[] => objects.filter((object) => object.classId === classId).map(({ box }): Box => box)
    t.equal(recalled(of(BUS), [[34, 229, 796, 769]], 0.8), 1)
    const people = reference['demo/street.jpg']?.car_detection.result
      .filter(([, , , , score, id]) => id === PERSON && (score as number) > 0.8)
      .map((row) => row.slice(0, 4) as unknown as Box) ?? []
    t.equal(people.length, 3)
    t.equal(recalled(of(PERSON), people, 0.7), 3)
    t.equal(objects.find((object) => object.classId === BUS)?.label, 'bus')
    const road = await cars.run(sharedImage('traffic_unlabelled/carnd_test1.jpg'))
    t.ok(road.objects.filter(({ label }) => label === 'car').length >= 2)
  })

  t.test('FSA-Net, two models averaged, agrees with the labelled heads', async (t) => {
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
      t.ok(errors[model].every((error) => error < 15), `${model}: ${errors[model].map((e) => e.toFixed(1)).join(', ')} degrees`)
    }
  })
}

t.test('a model for another task is refused', { skip }, async (t) => {
  const tasks: [TaskName, string][] = [['car_detection', 'ultraface-rfb-320'], ['face_alignment', 'yolox-nano-320']]
  for (const [task, model] of tasks) await t.rejects(createTask(task, { model }), { code: 'BAD_OPTION' })
})
