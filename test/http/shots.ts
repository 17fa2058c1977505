/** Requests whose answers are known: what the library answers in this process. */
import { createTask, type BoundingBox } from '../../lib/index.js'
import { nestedList, TEXT_FORMS } from './server.js'

export interface Shot {
  path: string
  type: string
  body: Buffer
  /** Members of the answer, as the library has them. */
  expected: Record<string, unknown>
  /** How often it is sent, relative to the others. */
  weight: number
}

export const json = (members: object): Buffer => Buffer.from(JSON.stringify(members))

export async function makeShots(pictures: readonly Buffer[]): Promise<Shot[]> {
  await using faces = await createTask('face_detection', { threads: 1 })
  await using poses = await createTask('face_alignment', { threads: 1 })
  await using cars = await createTask('car_detection', { threads: 1 })
  const shots: Shot[] = []
  for (const picture of pictures) {
    const { objects, width } = await faces.run(picture)
    const found = { bbox: objects.map(({ box }) => box), prob: objects.map(({ score }) => score) }
    shots.push({
      path: '/execute_task_old/face_detection', type: 'image/jpeg', body: picture, expected: found, weight: 30,
    })
    for (const encode of Object.values(TEXT_FORMS)) {
      shots.push({
        path: '/execute_task_old/face_detection', type: 'application/json', body: json({ image: encode(picture) }),
        expected: found, weight: 10,
      })
    }
    shots.push({
      path: '/concurrent_execute_task_new/face_detection', type: 'application/json',
      body: json({ image_list: [picture, picture, picture].map((file) => file.toString('base64')) }),
      expected: { output_ctx_list: [found, found, found] }, weight: 3,
    })
    if (objects.length > 0) {
      const { poses: angles } = await poses.run(picture, found.bbox)
      const heads = angles.map(({ yaw, pitch, roll }, index) => {
        const [x1, y1, x2, y2] = found.bbox[index] as BoundingBox
        return [yaw, pitch, roll, (x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2]
      })
      shots.push({
        path: '/execute_task_old/face_alignment', type: 'application/json',
        body: json({ image: picture.toString('base64'), ...found }), expected: {
          bbox: found.bbox, head_pose: heads,
        }, weight: 4,
      })
    }
    if (width < 500) {
      const list = await nestedList(picture, width)
      shots.push({
        path: '/execute_task_old/face_detection', type: 'application/json', body: Buffer.from(`{"image": ${list}}`),
        expected: found, weight: 1,
      })
    }
  }
  const [first] = pictures as [Buffer]
  const result = (await cars.run(first)).objects.map(({ box, score, classId }) => [...box, score, classId])
  shots.push({
    path: '/execute_task_old/car_detection', type: 'image/jpeg', body: first, expected: { result }, weight: 2,
  })
  shots.push({
    path: '/execute_task/face_detection', type: 'image/jpeg', body: first.subarray(0, 5000),
    expected: { execute_flag: false }, weight: 10,
  })
  return shots
}
