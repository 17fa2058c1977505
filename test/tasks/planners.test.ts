/** Every task, style and input of the interface document, answered by the real models. */
import t, { type Test } from 'tap'
import { toNativeImage } from '../../lib/tasks/index.js'
import { TASK_NAMES, type TaskName } from '../../lib/tasks/registry.js'
import { native, type ImageEncoding } from '../../lib/native.js'
import type { JobResult } from '../../lib/inference/job.js'
import { contractOf } from '../../lib/tasks/contracts.js'
import { parseTaskRequest } from '../../lib/tasks/request.js'
import type { AnswerStyle } from '../../lib/tasks/schema.js'
import { HELMETS, helmetBoxes, useConstantHelmets } from '../helpers/models.js'
import { face, people, street } from '../helpers/pictures.js'
import type { Workers } from '../../lib/workers/service.js'
import { encoded, start } from '../workers/helpers.js'

let service: Workers
t.before(async () => {
  useConstantHelmets(t)
  const tasks = Object.fromEntries(TASK_NAMES.map((task) => [task, { workers: 1 }]))
  service = (await start(t, { tasks, threads: 2 })).service
})

type Answer = Record<string, unknown> & {
  bbox: number[][]
  prob: number[]
  faces: string[]
  head_pose: number[][]
  result: number[][]
  bbox_list: number[][]
  clip_result: unknown[]
  output_ctx_list: Answer[]
  count_result: Record<string, number>
  image: string
}

interface Asked {
  answer: Answer
  jobs: number
  resolution: unknown
}

function bytesOf(body: unknown): Buffer {
  return body instanceof Buffer ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

async function ask(task: TaskName, style: AnswerStyle, body: unknown, workers = 1): Promise<Asked> {
  const plan = contractOf(task).plan(await parseTaskRequest(bytesOf(body)), style, workers)
  const results: JobResult[] = []
  for (const job of plan.jobs) {
    results.push(await service.run(task, job))
  }
  // What a caller reads is JSON.
  const answer = JSON.parse(JSON.stringify(plan.answer(results))) as Answer
  return { answer, jobs: plan.jobs.length, resolution: plan.resolution(results) }
}

const FORMS: Partial<Record<ImageEncoding, { write: (file: Buffer) => string; read: (text: string) => Buffer }>> = {
  'bytes-literal': { write: (file) => native.encodeBytesLiteral(file), read: readLiteral },
  base64: { write: (file) => file.toString('base64'), read: (text) => Buffer.from(text, 'base64') },
  'data-url': {
    write: (file) => `data:image/jpeg;base64,${file.toString('base64')}`,
    read: (text) => Buffer.from(text.replace(/^data:image\/jpeg;base64,/, ''), 'base64'),
  },
  latin1: { write: (file) => file.toString('latin1'), read: (text) => Buffer.from(text, 'latin1') },
}

function readLiteral(text: string): Buffer {
  const body = /^b(['"])(.*)\1$/s.exec(text)?.[2] as string
  const named: Record<string, string> = { n: '\n', r: '\r', t: '\t' }
  return Buffer.from(body.replace(/\\(x[0-9a-f]{2}|.)/g, (_, escape: string) => escape.length > 1
    ? String.fromCharCode(Number.parseInt(escape.slice(1), 16)) : named[escape] ?? escape), 'latin1')
}

const literal = (file: Buffer): string => native.encodeBytesLiteral(file)
const size = async (file: Buffer): Promise<number[]> => {
  const { items: [item] } = await service.run('face_detection', { images: [encoded(file)] })
  return [item?.width ?? 0, item?.height ?? 0]
}

function near(
  t: Test, actual: readonly number[] = [], expected: readonly number[], by: number, what: string,
): void {
  const close = expected.every((value, i) => Math.abs((actual[i] ?? NaN) - value) <= by)
  t.ok(close && actual.length === expected.length, `${what}: ${actual.map((value) => value.toFixed(1)).join(' ')}`)
}

t.test('face_detection: keys of each style, crops in the form of the request', async (t) => {
  for (const [form, { write, read }] of Object.entries(FORMS)) {
    const { answer, resolution } = await ask('face_detection', 'new', { image: write(people) })
    t.strictSame(Object.keys(answer).sort(), ['bbox', 'faces', 'prob'], form)
    t.strictSame([answer.bbox.length, answer.prob.length, answer.faces.length], [4, 4, 4])
    near(t, answer.bbox[0], [226, 105, 386, 333], 4, 'first face')
    const [side] = await size(read(answer.faces[0] as string))
    t.ok(Math.abs((side as number) / (1.6 * 228) - 1) < 0.05, `a crop of side ${side}`)
    t.strictSame(resolution, { w: 1280, h: 720 })
  }
  t.strictSame(Object.keys((await ask('face_detection', 'old', { image: literal(people) })).answer), ['bbox', 'prob'])
  const nested = Array.from({ length: 60 }, () => Array.from({ length: 80 }, () => [10, 20, 30]))
  const none = await ask('face_detection', 'new', { image: nested, prob: 3, unknown: { deep: [1] } })
  t.strictSame(none, { answer: { faces: [], bbox: [], prob: [] }, jobs: 1, resolution: { w: 80, h: 60 } })

  const rendered = await ask('face_detection', 'old', { image: literal(people), render: true })
  t.strictSame(await size(readLiteral(rendered.answer.image)), [1280, 720])
  t.ok((await ask('face_detection', 'new', { image: nested, render: true })).answer.image.startsWith('/9j/'))
})

t.test('lists: one answer a picture, in order, however many workers share them', async (t) => {
  const image_list = [literal(people), street.toString('base64'), Array.from({ length: 9 }, () => [1, 2, 3, 4])]
  const images = [people, street]
  for (const [task, keys] of [['face_detection', ['bbox', 'prob']], ['car_detection', ['result']]] as const) {
    const one = await ask(task, 'concurrent', { image_list })
    const three = await ask(task, 'concurrent', { image_list }, 5)
    t.strictSame([one.jobs, three.jobs], [1, 3])
    t.strictSame(three.answer, one.answer)
    t.strictSame(three.resolution, { w: 1280, h: 720 })
    t.strictSame(one.answer.output_ctx_list.map((item) => Object.keys(item)), [keys, keys, keys])
    for (const [index, file] of images.entries()) {
      const { answer } = await ask(task, 'old', { image: literal(file) })
      t.strictSame(one.answer.output_ctx_list[index], answer)
    }
    t.strictSame((await ask(task, 'concurrent', { image_list: [] }, 3)).answer, { output_ctx_list: [] })
    const drawn = await ask(task, 'concurrent', { image_list: image_list.slice(0, 2), render: true }, 2)
    t.match(drawn.answer.output_ctx_list.map(({ image }) => image.slice(0, 4)), [/^b['"]\\x/, '/9j/'])
  }
})

t.test('face_alignment: the output of face_detection posted whole, and the older form', async (t) => {
  const faces = (await ask('face_detection', 'new', { image: literal(people) })).answer
  const previous = {
    ...faces, execute_flag: true, proc_resource_info: { pid: 1, cpu_util_use: 0.5 },
    task_conf: { fps: null, resolution: { w: 1280, h: 720 } },
  }
  const { answer, jobs, resolution } = await ask('face_alignment', 'new', previous, 2)
  t.strictSame(Object.keys(answer).sort(), ['bbox', 'count_result', 'head_pose'])
  t.strictSame([jobs, resolution, answer.bbox], [1, undefined, faces.bbox])
  near(t, answer.head_pose[0]?.slice(0, 3), [-29.0, -8.7, -11.4], 4, 'yaw, pitch, roll')
  const [x1, y1, x2, y2] = faces.bbox[0] as [number, number, number, number]
  t.strictSame(answer.head_pose[0]?.slice(3), [(x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2])
  const up = answer.head_pose.filter(([, pitch]) => (pitch as number) > -10).length
  t.strictSame(answer.count_result, { up, total: 4 })

  const spread = await ask('face_alignment', 'concurrent', previous, 2)
  t.equal(spread.jobs, 2)
  t.strictSame(spread.answer, answer, 'shared by two workers, merged in order')

  const scored = faces.bbox.map((box, index) => [...box, faces.prob[index]])
  const older = await ask('face_alignment', 'old', { image: literal(people), bbox: scored, prob: faces.prob })
  t.strictSame(Object.keys(older.answer), ['bbox', 'head_pose', 'image'], 'drawn on, unasked')
  t.strictSame(await size(readLiteral(older.answer.image)), [1280, 720])
  t.strictSame([older.answer.bbox, older.resolution], [faces.bbox, { w: 1280, h: 720 }])
  for (const [index, pose] of older.answer.head_pose.entries()) {
    near(t, pose, answer.head_pose[index] as number[], 2.5, 'from the frame as from the crop')
  }
  const shared = await ask('face_alignment', 'concurrent', { image: literal(people), bbox: scored, render: false }, 2)
  t.strictSame([shared.jobs, shared.answer.head_pose], [2, older.answer.head_pose])
  const drawn = await ask('face_alignment', 'concurrent', { ...previous, image: literal(people), render: 'true' }, 2)
  t.equal(drawn.jobs, 1, 'a frame is drawn on by one')
  t.strictSame(await size(readLiteral(drawn.answer.image)), [1280, 720])

  const crops = await ask('face_alignment', 'concurrent', { image_list: faces.faces }, 2)
  t.strictSame(crops.answer.output_ctx_list.map(({ head_pose: [pose] }) => pose?.slice(0, 3)),
    answer.head_pose.map((pose) => pose.slice(0, 3)))
  const alone = await ask('face_alignment', 'new', { faces: faces.faces })
  t.equal(alone.answer.bbox.length, 4, 'without boxes a face is where its crop is')

  for (const style of ['new', 'concurrent'] as const) {
    t.strictSame((await ask('face_alignment', style, { faces: [], bbox: [], prob: [] }, 2)).answer,
      { count_result: { up: 0, total: 0 }, head_pose: [], bbox: [] })
  }
  const none = { image: literal(people), bbox: [], prob: [] }
  t.strictSame(await ask('face_alignment', 'old', { ...none, render: false }),
    { answer: { bbox: [], head_pose: [] }, jobs: 1, resolution: { w: 1280, h: 720 } })
  const { answer: { image } } = await ask('face_alignment', 'new', none)
  t.strictSame(await size(readLiteral(image)), [1280, 720], 'also where there is no face')
})

t.test('car_detection: rows best first, counted by class; helmet_detection: clips', async (t) => {
  const { answer } = await ask('car_detection', 'new', { image: literal(street) })
  t.strictSame(Object.keys(answer).sort(), ['count_result', 'label', 'result'])
  const labels = answer.label as string[]
  const counts = Object.entries(answer.count_result)
  t.ok(counts.every(([name, count]) => labels.filter((label) => label === name).length === count))
  t.equal(counts.reduce((sum, [, count]) => sum + count, 0), answer.result.length)
  t.match(answer.count_result, { car: 1, person: 4 })
  // The frame is decoded no larger than the network needs it, which moves the edges of large objects a little.
  near(t, answer.result.find((row) => row[5] === 2)?.slice(0, 4), [47, 196, 958, 484], 20, 'the car')
  const scores = answer.result.map((row) => row[4] as number)
  t.strictSame(scores, [...scores].sort((a, b) => b - a))
  t.ok(answer.result.flatMap((row) => [[row[0], 1024], [row[2], 1024], [row[1], 1380], [row[3], 1380]])
    .every(([side, most]) => (side as number) >= 0 && (side as number) <= (most as number)), 'clipped to the picture')
  t.strictSame(Object.keys((await ask('car_detection', 'old', { image: literal(street) })).answer), ['result'])
  const single = await ask('car_detection', 'concurrent', { image: literal(street) }, 3)
  t.strictSame([single.jobs, single.answer], [1, answer])

  const clip = [literal(face), people.toString('base64')]
  const old = (await ask('helmet_detection', 'old', { clip })).answer
  t.strictSame(Object.keys(old).sort(), ['bbox_list', 'clip_result'])
  const { answer: full } = await ask('helmet_detection', 'new', { image_list: clip })
  t.strictSame([full.bbox_list, full.clip_result], [old.bbox_list, old.clip_result])
  const { label, frame_index, prob } = full as unknown as { label: string[]; frame_index: number[]; prob: number[] }
  t.strictSame([label.length, frame_index.length, prob.length], Array(3).fill(old.bbox_list.length))
  t.strictSame(full.clip_result, [0, 1].map((frame) => ({
    ntotal: frame_index.filter((index) => index === frame).length,
    n_no_helmet: label.filter((name, i) => name === 'head' && frame_index[i] === frame).length,
  })))
  t.strictSame(full.clip_result, Array(2).fill({ ntotal: 2, n_no_helmet: 1 }), 'a helmet and a bare head in each')
  t.strictSame(label, [...HELMETS, ...HELMETS].map((one) => one.label))
  const boxes = [...helmetBoxes(450, 450), ...helmetBoxes(1280, 720)]
  for (const [index, box] of boxes.entries()) near(t, full.bbox_list[index], box, 2, 'in pixels of its frame')
  const spread = await ask('helmet_detection', 'concurrent', { image_list: clip }, 4)
  const { output_ctx_list, ...rest } = spread.answer
  t.strictSame([spread.jobs, rest], [2, full])
  t.strictSame(output_ctx_list.flatMap(({ bbox_list }) => bbox_list), full.bbox_list)
  const drawn = await ask('helmet_detection', 'old', { image: clip[0], render: true })
  t.strictSame(await size(readLiteral(drawn.answer.image)), await size(face))
  t.strictSame((await ask('helmet_detection', 'new', { clip: [] })).answer,
    { bbox_list: [], clip_result: [], prob: [], label: [], frame_index: [] })
})

t.test('what is wrong with a request is said, with a code', async (t) => {
  const image = literal(people)
  const wrong: [TaskName, unknown, string, RegExp][] = [
    ['face_detection', {}, 'BAD_IMAGE', /image \(or image_list\)/],
    ['face_detection', { image: null }, 'BAD_IMAGE', /image/],
    ['face_detection', { image: 'hello' }, 'BAD_IMAGE', /./],
    ['face_detection', { image_list: [image, [[1], [1, 2]]] }, 'BAD_IMAGE', /./],
    ['face_detection', { image: [[256]] }, 'BAD_IMAGE', /./],
    ['face_detection', { image_list: image }, 'BAD_IMAGE', /./],
    ['face_detection', { image_list: Array(65).fill([[1]]) }, 'TOO_LARGE', /64/],
    ['face_detection', { image_list: [image], clip: [image] }, 'BAD_REQUEST', /received both/],
    ['face_detection', '{"image": [[1]], "image": [[1]]}', 'BAD_REQUEST', /twice/],
    ['face_detection', '{"clip": [], "clip": []}', 'BAD_REQUEST', /twice/],
    ['face_detection', '[]', 'BAD_REQUEST', /./],
    ['face_detection', '', 'BAD_REQUEST', /./],
    ['face_detection', '{"image": [[1]], "a": }', 'BAD_REQUEST', /./],
    ['face_detection', Buffer.from('{"image": [[1]], "a": "caf\xe9"}', 'latin1'), 'BAD_REQUEST', /in UTF-8/],
    ['face_detection', Buffer.from('{"image": [[1]], "caf\xe9": 1}', 'latin1'), 'BAD_REQUEST', /in UTF-8/],
    ['face_alignment', { image }, 'BAD_REQUEST', /bbox/],
    ['face_alignment', { bbox: [[0, 0, 9, 9]] }, 'BAD_IMAGE', /faces, image with bbox, or image_list/],
    ['face_alignment', { faces: [image], bbox: [] }, 'BAD_REQUEST', /\(1\) but received 0/],
    ['face_alignment', { image, bbox: 3 }, 'BAD_REQUEST', /list of boxes/],
    ['face_alignment', { image, bbox: [[1, 2, 3]] }, 'BAD_REQUEST', /bbox\[0\] to be four numbers/],
    ['face_alignment', { image, bbox: [[1, 2, 3, '4']] }, 'BAD_REQUEST', /bbox\[0\]/],
    ['face_alignment', { image, bbox: [[5000, 5000, 6000, 6000]] }, 'BAD_REQUEST', /./],
    ['face_alignment', { image, bbox: Array(751).fill([0, 0, 9, 9]) }, 'TOO_LARGE', /750/],
    ['helmet_detection', { faces: [image] }, 'BAD_IMAGE', /image_list \(or image\)/],
  ]
  for (const [task, body, code, message] of wrong) {
    const text = bytesOf(body).toString('latin1', 0, 50)
    await t.rejects(ask(task, 'new', body), { code, message }, `${task} ${text}`)
  }
  const last = await ask('face_detection', 'old', '{"render": true, "image": [[1,2],[3,4]], "render": false}')
  t.strictSame(last.answer, { bbox: [], prob: [] }, 'of other members that come twice the last holds, as in JSON')
  const replaced = await parseTaskRequest(Buffer.from('{"image": [[1]], "note": "\ufffd \\ufffd"}'))
  t.strictSame(replaced.fields, { note: '\ufffd \ufffd' }, 'the replacement character itself is no mistake')
  const raw = await toNativeImage({ data: Buffer.alloc(12, 9), width: 2, height: 2, channels: 3, order: 'bgr' })
  const request = {
    fields: {}, image: { image: raw, encoding: 'raw' as const }, imageList: undefined, faces: undefined,
  }
  const plan = contractOf('car_detection').plan(request, 'old', 1)
  t.equal(plan.jobs[0]?.images[0], raw)
})
