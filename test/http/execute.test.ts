import t, { type Test } from 'tap'
import { Value } from 'typebox/value'
import type { TaskName } from '../../lib/tasks/registry.js'
import { SHARED_SCHEMAS } from '../../lib/http/schemas/common.js'
import { contractOf } from '../../lib/tasks/contracts.js'
import { answerSchema } from '../../lib/tasks/schema.js'
import { createTask } from '../../lib/tasks/index.js'
import { HELMETS, helmetBoxes, useConstantHelmets } from '../helpers/models.js'
import { nestedList, post, sample, startServer, TEXT_FORMS, type Answer } from './server.js'

const STYLES = {
  execute_task: 'new', execute_task_old: 'old', execute_task_new: 'new', concurrent_execute_task_new: 'concurrent',
} as const
type Route = keyof typeof STYLES
const ROUTES = Object.keys(STYLES) as Route[]

const REFERENCES = Object.fromEntries(SHARED_SCHEMAS.map((schema) => [(schema as { $id?: string }).$id, schema]))

function documented(test: Test, task: TaskName, route: Route, answer: Answer): void {
  const schema = answerSchema(contractOf(task).schema, STYLES[route])
  const errors = [...Value.Errors(REFERENCES as never, schema, answer)].slice(0, 3)
  test.same(errors, [], `${route}/${task} answers in the documented shape`)
  test.same((answer.proc_resource_info_list as unknown[])[0], answer.proc_resource_info, 'the slowest worker')
}

useConstantHelmets(t)
const server = await startServer(t, {
  tasks: {
    face_detection: { workers: 2 },
    face_alignment: { workers: 2 },
    car_detection: { workers: 1 },
    helmet_detection: { workers: 1 },
  },
})
const faces = await sample('faces')
const car = await sample('car')

t.test('face_detection takes every form of an image on every route, and finds what the library finds', async (t) => {
  await using detector = await createTask('face_detection', { threads: 1 })
  // Crops are cut from the frame at its full size; without them fewer pixels are decoded.
  const whole = (await detector.run(faces, { crops: true })).objects.map(({ box }) => box)
  const reduced = (await detector.run(faces)).objects.map(({ box }) => box)
  t.ok(whole.length >= 3)
  const list = `{"image":${await nestedList(faces, 1920)}}`
  const bodies: Record<string, () => Promise<{ status: number; body: Answer }>> = {}
  for (const route of ROUTES) {
    const url = `${server.url}/${route}/face_detection`
    for (const [form, encode] of Object.entries(TEXT_FORMS)) bodies[`${route} ${form}`] = () => post(url, {
      image: encode(faces),
    })
    bodies[`${route} raw`] = () => post(url, faces, { 'content-type': 'image/jpeg' })
    bodies[`${route} list`] = () => post(url, Buffer.from(list), { 'Content-type': 'application/json; charset=UTF-8' })
    bodies[`${route} form`] = () => {
      const form = new FormData()
      form.append('image', new Blob([faces]), 'faces.jpg')
      return post(url, form)
    }
    bodies[`${route} no type`] = () => post(url, Buffer.from(JSON.stringify({ image: faces.toString('base64') })))
  }
  for (const [name, send] of Object.entries(bodies)) {
    const route = name.split(' ')[0] as Route
    const { status, body } = await send()
    t.equal(status, 200, name)
    documented(t, 'face_detection', route, body)
    const expected = STYLES[route] === 'old' && !name.endsWith('list') ? reduced : whole
    const boxes = body.bbox as number[][]
    t.equal(boxes.length, expected.length, `${name}: as many faces`)
    const farthest = Math.max(...boxes.flatMap((box, i) => box.map((value, j) => Math.abs(value - (
      expected[i]?.[j] ?? 0
    )))))
    t.ok(farthest < 0.01, `${name}: boxes differ by ${farthest}`)
    t.equal('faces' in body, STYLES[route] !== 'old')
  }
})

t.test('faces are answered in the form of the request, and its whole answer is taken by face_alignment', async (t) => {
  const starts: Record<keyof typeof TEXT_FORMS, RegExp> = {
    literal: /^b['"]\\xff\\xd8\\xff/, base64: /^\/9j\//, dataUrl: /^data:image\/jpeg;base64,\/9j\//,
    latin1: /^\u00ff\u00d8\u00ff/,
  }
  const poses: unknown[] = []
  for (const [form, encode] of Object.entries(TEXT_FORMS)) {
    const found = await post(`${server.url}/execute_task/face_detection`, {
      image: encode(faces), task_conf: { fps: 7 },
    })
    const crops = found.body.faces as string[]
    t.ok(crops.length >= 3 && crops.every((crop) => starts[form as keyof typeof TEXT_FORMS].test(crop)), form)
    const posed = await post(`${server.url}/execute_task/face_alignment`, found.body)
    t.equal(posed.status, 200)
    documented(t, 'face_alignment', 'execute_task', posed.body)
    t.equal((posed.body.count_result as { total: number }).total, crops.length)
    t.same(posed.body.task_conf, { fps: 7, resolution: { w: 1920, h: 1398 } }, 'the settings travel along')
    poses.push(posed.body.head_pose)
  }
  for (const other of poses.slice(1)) t.same(other, poses[0], 'every form gives the same angles')
})

t.test('the answers of the other tasks, single and in lists, on every route', async (t) => {
  const face = (await post(`${server.url}/execute_task/face_detection`, { image: faces.toString('base64') })).body
  const alignment = { image: TEXT_FORMS.literal(faces), bbox: face.bbox, prob: face.prob, render: true }
  for (const route of ROUTES) {
    const [posed, posedList, cars, carList] = await Promise.all([
      post(`${server.url}/${route}/face_alignment`, alignment),
      post(`${server.url}/${route}/face_alignment`, { image_list: face.faces }),
      post(`${server.url}/${route}/car_detection`, car, { 'content-type': 'image/jpeg' }),
      post(`${server.url}/${route}/car_detection`, { image_list: [car, faces].map(TEXT_FORMS.base64) }),
    ])
    documented(t, 'face_alignment', route, posed.body)
    t.match(posed.body.image, /^b['"]\\xff\\xd8/, 'the rendered picture comes in the form of the request')
    documented(t, 'face_alignment', route, posedList.body)
    t.equal((posedList.body.output_ctx_list as unknown[]).length, (face.faces as unknown[]).length)
    documented(t, 'car_detection', route, cars.body)
    t.equal((cars.body.result as number[][])[0]?.[5], 2, 'a car is class 2')
    documented(t, 'car_detection', route, carList.body)
    const [first] = carList.body.output_ctx_list as { result: unknown }[]
    t.same(first?.result, cars.body.result, 'lists are answered in order')
  }
})

t.test('arguments of the query string and of a form', async (t) => {
  const { body: found } = await post(`${server.url}/execute_task/face_detection`, faces, {
    'content-type': 'image/jpeg',
  })
  const bbox = encodeURIComponent(JSON.stringify(found.bbox))
  const query = await post(`${server.url}/execute_task/face_alignment?bbox=${bbox}`, faces, {
    'content-type': 'image/jpeg',
  })
  const form = new FormData()
  form.append('image', new Blob([faces]), 'a.jpg')
  form.append('input', JSON.stringify({ bbox: found.bbox, task_conf: { fps: 30 } }))
  const posted = await post(`${server.url}/execute_task/face_alignment`, form)
  t.same(posted.body.head_pose, query.body.head_pose)
  t.same(posted.body.task_conf, { fps: 30, resolution: { w: 1920, h: 1398 } })
  const several = new FormData()
  for (const crop of found.faces as string[]) several.append('faces', new Blob([
    Buffer.from(crop, 'base64'),
  ]), 'face.jpg')
  const crops = await post(`${server.url}/execute_task/face_alignment`, several)
  t.equal((crops.body.head_pose as unknown[]).length, (found.faces as unknown[]).length)
})

t.test('concurrent requests are shared by the workers, and each is named', async (t) => {
  const image_list = Array.from({ length: 8 }, () => faces.toString('base64'))
  const { body } = await post(`${server.url}/concurrent_execute_task_new/face_detection`, { image_list })
  const list = body.proc_resource_info_list as { pid: number; compute_latency: number }[]
  const pids = server.workers.workers('face_detection').map(({ pid }) => pid)
  t.same(list.map(({ pid }) => pid).sort(), pids.sort())
  t.same(body.proc_resource_info, list[0])
  t.ok(list.every(({ compute_latency: latency }) => latency > 0 && latency <= (list[0]?.compute_latency ?? 0)))
  const info = body.proc_resource_info as Record<string, number | string>
  t.equal(info.device_ip, '127.0.0.9')
  t.equal(info.latency, info.compute_latency)
  t.ok((info.all_latency as number) > (info.compute_latency as number))
  t.ok((info.cpu_util_use as number) > 0.01 && (info.cpu_util_use as number) <= 1.1)
  t.ok((info.mem_util_use as number) > 0 && (info.mem_util_use as number) < 0.5)
})

t.test('helmet_detection: clips under both names', async (t) => {
  for (const route of ROUTES) {
    for (const name of ['clip', 'image_list']) {
      const { status, body } = await post(`${server.url}/${route}/helmet_detection`, {
        [name]: [car, faces].map(TEXT_FORMS.literal),
      })
      t.equal(status, 200)
      documented(t, 'helmet_detection', route, body)
      t.strictSame(body.clip_result, [1, 2].map(() => ({ ntotal: HELMETS.length, n_no_helmet: 1 })))
      const expected = [...helmetBoxes(1024, 680), ...helmetBoxes(1920, 1398)].flat()
      const apart = (body.bbox_list as number[][]).flat().map((side, at) => Math.abs(side - (expected[at] as number)))
      t.ok(apart.length === expected.length && Math.max(...apart) < 3, `boxes differ by ${Math.max(...apart)}`)
    }
  }
})
