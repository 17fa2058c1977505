/** Messages between the server and its workers, and what is in those of jobs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { EdgeInferError } from '../../../lib/errors.js'
import { native } from '../../../lib/native.js'
import { Channel } from '../../../lib/workers/process/channel.js'
import { Framing } from '../../../lib/workers/process/framing.js'
import { JobMemory } from '../../../lib/workers/process/job-memory.js'
import { decodeAnswer, encodeJob } from '../../../lib/workers/process/job-protocol.js'
import { CHANNEL_FD, type FromWorker, type ToWorker } from '../../../lib/workers/process/messages.js'
import { WorkerProcess } from '../../../lib/workers/process/worker-process.js'
import { until } from '../helpers.js'

async function sockets(t: Test): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = await once(server, 'connection') as [Socket]
  t.teardown(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return [near.setNoDelay(), far]
}

t.test('messages of every size arrive whole and in order, however they are cut', async (t) => {
  const [near, far] = await sockets(t)
  const received: [string, number][] = []
  new Framing(far, (header, data) => received.push([header.toString(), data.length]))
  const sender = new Framing(near, () => {})
  sender.send(Buffer.from('empty'))
  sender.send(Buffer.from('two parts'), [Buffer.alloc(3), Buffer.alloc(300_000)])
  for (let i = 0; i < 50; i++) sender.send(Buffer.from(`${i}`), [Buffer.alloc(i)])
  const expected: [string, number][] = [
    ['empty', 0], ['two parts', 300_003], ...Array.from({ length: 50 }, (_, i): [string, number] => [`${i}`, i]),
  ]
  t.ok(await until(() => received.length === expected.length))
  t.strictSame(received, expected)

  const message = Buffer.from(Uint32Array.from([2, 3]).buffer)
  for (const byte of Buffer.concat([message, Buffer.from('abcde')])) {
    near.write(Buffer.from([byte]))
    await sleep(2)
  }
  t.ok(await until(() => received.length > expected.length))
  t.strictSame(received.at(-1), ['ab', 3])
  far.destroy()
  await once(near, 'close')
  sender.send(Buffer.from('to nobody'))
})

const VERSION = 2

const bytes = (numbers: number[]): Uint8Array => new Uint8Array(Float64Array.from(numbers).buffer)

t.test('the protocol of this version', async (t) => {
  // A worker of another build may meet this server: whoever changes a record raises the version.
  t.strictSame(native.jobProtocol(), {
    version: VERSION,
    records: {
      job: ['version', 'id', 'flags', 'offset', 'images', 'boxes'],
      image: ['kind', 'width', 'height', 'channels', 'order', 'bytes'],
      box: ['x1', 'y1', 'x2', 'y2'],
      answer: [
        'version', 'id', 'failed', 'decode', 'preprocess', 'inference', 'postprocess', 'encode', 'wallSeconds',
        'cpuSeconds', 'rssBytes', 'items',
      ],
      item: ['width', 'height', 'detections', 'poses', 'crops', 'renderedBytes'],
      detection: ['x1', 'y1', 'x2', 'y2', 'score', 'classId'],
      pose: ['yaw', 'pitch', 'roll'],
      crop: ['bytes'],
    },
    flags: { crops: 1, boxes: 2, render: 4 },
    imageKinds: ['encoded', 'raw', 'json'],
    channelOrders: ['rgb', 'bgr'],
  })
})

t.test('a job in numbers', async (t) => {
  const numbers = (header: Uint8Array): number[] => [...new Float64Array(header.buffer)]
  const data = Buffer.alloc(12)
  t.strictSame(numbers(encodeJob(3, { images: [{ kind: 'encoded', data }], crops: true }, 4096)),
    [VERSION, 3, 1, 4096, 1, 0, 0, 0, 0, 0, 0, 12])
  t.strictSame(numbers(encodeJob(4, {
    images: [{ kind: 'raw', data, width: 2, height: 2, channels: 3, order: 'bgr' }], boxes: [[0.5, 1, 2, 3]],
    render: true,
  }, undefined)), [VERSION, 4, 6, -1, 1, 1, 1, 2, 2, 3, 1, 12, 0.5, 1, 2, 3])
  t.strictSame(numbers(encodeJob(5, { images: [], boxes: [] }, 0)), [VERSION, 5, 2, 0, 0, 0])
})

const HEADER = [
  VERSION, 3, 0, 1, 2, 3, 4, 5, 0.25, 0.5, 4096, 2,
  640, 480, 1, 0, 2, 2, 1, 2, 3, 4, 0.5, 6, 3, 1,
  10, 20, 0, 2, 0, -1, -1, 0, 1, 7, 8, 9,
]
const PICTURES = Buffer.from('abcdef')

t.test('an answer in numbers', async (t) => {
  t.strictSame(decodeAnswer(bytes(HEADER), PICTURES), {
    id: 3,
    result: {
      timings: { decode: 1, preprocess: 2, inference: 3, postprocess: 4, encode: 5 },
      usage: { wallSeconds: 0.25, cpuSeconds: 0.5, rssBytes: 4096 },
      items: [
        {
          width: 640, height: 480, boxes: [[1, 2, 3, 4]], scores: [0.5], classIds: [6], angles: [],
          crops: [Buffer.from('abc'), Buffer.from('d')], rendered: Buffer.from('ef'),
        },
        {
          width: 10, height: 20, boxes: [], scores: [], classIds: [], angles: [[-1, 0, 1], [7, 8, 9]], crops: [],
          rendered: undefined,
        },
      ],
    },
  })
  const failed = (text: string): unknown =>
    (decodeAnswer(bytes([VERSION, 4, 1]), Buffer.from(text)) as { error: unknown }).error
  t.match(failed('BAD_IMAGE\nExpected: a\nJPEG'), new EdgeInferError('BAD_IMAGE', 'Expected: a\nJPEG'))
  t.match(failed('NO_CODE\nwhy'), { code: 'INTERNAL', message: 'why' })
})

t.test('what is no answer is refused with a sentence', async (t) => {
  const refused = (header: Uint8Array, data: Buffer, message: RegExp): void => {
    t.throws(() => decodeAnswer(header, data), { code: 'INTERNAL', message })
  }
  for (let length = 0; length < HEADER.length; length++) refused(bytes(
    HEADER.slice(0, length),
  ), PICTURES, /cannot be read/)
  refused(bytes([...HEADER, 0]), PICTURES, /1 numbers are left/)
  refused(bytes(HEADER).subarray(3), PICTURES, /has 301 bytes/)
  refused(bytes([3, ...HEADER.slice(1)]), PICTURES, /version 3 of the job protocol and this server knows version 2/)
  const [itemsAt, detectionsAt, cropsAt, renderedAt, firstCropAt] = [11, 14, 16, 17, 24]
  const counts = [NaN, Infinity, -Infinity, -2, 0.5, 1e9, 2 ** 53]
  for (const place of [itemsAt, detectionsAt, detectionsAt + 1, cropsAt, renderedAt, firstCropAt]) {
    for (const count of counts) refused(bytes(HEADER.map(
      (number, index) => (index === place ? count : number),
    )), PICTURES, /cannot be read/)
  }
  refused(bytes(HEADER), PICTURES.subarray(1), /a picture of 2 bytes does not fit into the 1/)
})

t.test('a message beyond sense, and one that is refused, destroy the socket with the reason', async (t) => {
  const [near, far] = await sockets(t)
  new Framing(far, () => {})
  near.write(Buffer.from(Uint32Array.from([2 ** 31, 2 ** 31]).buffer))
  t.match((await once(far, 'error'))[0], {
    code: 'INTERNAL', message: /at most 2147483648 bytes but received one of 4294967296/,
  })
  const [other, end] = await sockets(t)
  new Framing(end, (header) => { decodeAnswer(header, Buffer.alloc(0)) })
  new Framing(other, () => {}).send(bytes([1]))
  t.match((await once(end, 'error'))[0], { code: 'INTERNAL', message: /cannot be read/ })
})

/** A program in place of a worker's, that says it is ready. `then` is what it does for a job. */
function impostor(t: Test, ready: object, answer: number[] = [], then = 'jobs.write(answer)'): WorkerProcess {
  const framed = (header: Uint8Array): string => JSON.stringify([
    ...new Uint8Array(Uint32Array.from([header.length, 0]).buffer), ...header,
  ])
  const program = join(t.testdir({
    'program.mjs': `
      import { Socket } from 'node:net'
      const [control, jobs] = [3, 5].map((fd) => new Socket({
        fd, readable: true, writable: true,
      }).on('error', () => {}))
      control.write(Buffer.from(${framed(Buffer.from(JSON.stringify(ready)))}))
      control.resume().on('close', () => process.exit(0))
      const answer = Buffer.from(${framed(bytes(answer))})
      jobs.on('data', () => ${then})`,
  }), 'program.mjs')
  const worker = new WorkerProcess({ task: 'face_detection', options: {}, slots: 1, confine: () => {}, program })
  t.teardown(async () => {
    worker.kill()
    await worker.ended
  })
  return worker
}

t.test('a worker of another version is refused, and one that answers nonsense is killed', async (t) => {
  const ready = { type: 'ready', model: 'none', labels: [], provider: '', warnings: [] }
  await t.rejects(impostor(t, { ...ready, protocol: 1 }).ready, {
    code: 'RUNTIME_UNAVAILABLE', message: /a worker of version 2 of the job protocol but this one is of version 1/,
  })
  await t.rejects(impostor(t, ready).ready, { code: 'RUNTIME_UNAVAILABLE', message: /of version undefined/ })
  const worker = impostor(t, { ...ready, protocol: VERSION }, [VERSION, 1, 0])
  await worker.ready
  await t.rejects(worker.run({ images: [] }).result, { code: 'WORKER_DIED' })
  t.match(await worker.ended, { signal: 'SIGKILL', stderr: /A worker's answer cannot be read/ })
})

t.test('a worker that lives on without its socket of jobs is killed, and its jobs fail', async (t) => {
  const ready = { type: 'ready', model: 'none', labels: [], provider: '', warnings: [], protocol: VERSION }
  for (const then of ['jobs.destroy()', 'jobs.write(answer.subarray(0, 9), () => jobs.destroy())']) {
    const worker = impostor(t, ready, [VERSION, 1, 0], then)
    await worker.ready
    const results = [worker.run({ images: [] }).result, worker.run({ images: [] }).result]
    for (const result of results) await t.rejects(result, { code: 'WORKER_DIED' }, then)
    t.match(await worker.ended, { signal: 'SIGKILL' })
  }
})

t.test('a worker refuses a server of another version', async (t) => {
  const memory = new JobMemory(1)
  const main = fileURLToPath(new URL('../../../lib/workers/process/worker-main.js', import.meta.url))
  const child = spawn(process.execPath, [main], { stdio: ['ignore', 'ignore', 'inherit', 'pipe', memory.fd, 'pipe'] })
  t.teardown(() => {
    child.kill('SIGKILL')
    memory.close()
  })
  const answer = await new Promise<FromWorker>((resolve) => {
    const channel = new Channel<ToWorker, FromWorker>(child.stdio[CHANNEL_FD] as Socket, resolve)
    channel.send({ type: 'load', protocol: 3, task: 'face_detection', options: {} })
  })
  t.match(answer, { type: 'failed', error: {
    code: 'RUNTIME_UNAVAILABLE', message: /a server of version 2 .* is of version 3/,
  } })
})
