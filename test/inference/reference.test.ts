/** The results of an independent implementation, for the same models and pictures. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { createTask, type BoundingBox, type Detections } from '../../lib/index.js'
import { differences, type Box, type Scored } from '../helpers/boxes.js'
import { sharedImage, sharedPath, skip, useSharedModels } from '../helpers/shared.js'

interface Reference {
  width: number
  height: number
  face_detection: { bbox: Box[]; prob: number[] }
  face_alignment: { bbox: Box[]; yaw_pitch_roll: [number, number, number][] }
  car_detection: { result: [number, number, number, number, number, number][] }
  helmet_detection: { bbox: Box[]; prob: number[]; label: string[] }
}

const LIMITS = { iouLimit: 0.95, scoreLimit: 0.02 }
const DEGREES = 1.5

function found({ objects }: Detections, key: 'label' | 'classId'): Scored[] {
  return objects.map((object) => ({ box: object.box, score: object.score, label: object[key] }))
}

function listed({ bbox, prob }: { bbox: Box[]; prob: number[] }, labels?: string[]): Scored[] {
  return bbox.map((box, index) => ({ box, score: prob[index] as number, label: labels?.[index] ?? 'face' }))
}

t.test('boxes, scores and angles are the reference\'s', { skip, timeout: 240_000 }, async (t) => {
  useSharedModels()
  const reference = JSON.parse(
    readFileSync(sharedPath('reference', 'results.json'), 'utf8'),
  ) as Record<string, Reference>
  await using faces = await createTask('face_detection')
  await using poses = await createTask('face_alignment')
  await using cars = await createTask('car_detection')
  await using helmets = await createTask('helmet_detection')
  let [objects, angles] = [0, 0]
  for (const [name, expected] of Object.entries(reference)) {
    const image = sharedImage(name)
    const sentences: string[] = []
    const compare = (task: string, threshold: number, ours: Scored[], theirs: Scored[]): void => {
      objects += theirs.length
      sentences.push(...differences(ours, theirs, { threshold, ...LIMITS }).map((text) => `${task}: ${text}`))
    }
    const face = await faces.run(image, { fullDecode: true })
    sentences.push(...(face.width === expected.width && face.height === expected.height ? [] : ['another size']))
    compare('faces', 0.7, found(face, 'label'), listed(expected.face_detection))
    const car = await cars.run(image, { fullDecode: true })
    compare('cars', 0.25, found(car, 'classId'), expected.car_detection.result.map(
      ([x1, y1, x2, y2, score, label]) => ({ box: [x1, y1, x2, y2], score, label })))
    const helmet = await helmets.run(image, { fullDecode: true })
    compare('helmets', 0.35, found(helmet, 'label'), listed(expected.helmet_detection, expected.helmet_detection.label))
    const { bbox, yaw_pitch_roll: truth } = expected.face_alignment
    const pose = await poses.run(image, bbox.map((box): BoundingBox => [...box]))
    for (const [index, { yaw, pitch, roll }] of pose.poses.entries()) {
      const wrong = Math.max(
        ...[yaw, pitch, roll].map((angle, axis) => Math.abs(angle - (truth[index]?.[axis] ?? NaN))),
      )
      if (!(wrong <= DEGREES)) sentences.push(`head ${index}: ${wrong.toFixed(2)} degrees off`)
      angles += 3
    }
    if (pose.poses.length !== truth.length) sentences.push(`${pose.poses.length} heads for ${truth.length}`)
    t.strictSame(sentences, [], name)
  }
  t.ok(objects > 200 && angles > 150, `${objects} boxes and ${angles} angles were compared`)
})
