/** Messages between the server and its workers, and what is in those of jobs. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { EdgeInferError } from '../../../lib/errors.js'
import { Framing } from '../../../lib/workers/process/framing.js'
import { decodeAnswer, encodeJob } from '../../../lib/workers/process/job-protocol.js'
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

t.test('a job in numbers', async (t) => {
  const numbers = (bytes: Uint8Array): number[] => [...new Float64Array(bytes.buffer)]
  const data = Buffer.alloc(12)
  t.strictSame(numbers(encodeJob(3, { images: [{ kind: 'encoded', data }], crops: true }, 4096)),
    [3, 1, 4096, 1, 0, 0, 0, 0, 0, 0, 12])
  t.strictSame(numbers(encodeJob(4, {
    images: [{ kind: 'raw', data, width: 2, height: 2, channels: 3, order: 'bgr' }], boxes: [[0.5, 1, 2, 3]],
    render: true,
  }, undefined)), [4, 6, -1, 1, 1, 1, 2, 2, 3, 1, 12, 0.5, 1, 2, 3])
  t.strictSame(numbers(encodeJob(5, { images: [], boxes: [] }, 0)), [5, 2, 0, 0, 0])
})

t.test('an answer in numbers', async (t) => {
  const bytes = (numbers: number[]): Uint8Array => new Uint8Array(Float64Array.from(numbers).buffer)
  const header = [
    3, 0, 1, 2, 3, 4, 5, 0.25, 0.5, 4096, 2,
    640, 480, 1, 0, 2, 2, 1, 2, 3, 4, 0.5, 6, 3, 1,
    10, 20, 0, 2, 0, -1, -1, 0, 1, 7, 8, 9,
  ]
  t.strictSame(decodeAnswer(bytes(header), Buffer.from('abcdef')), {
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
  const failed = (text: string): unknown => (decodeAnswer(bytes([4, 1]), Buffer.from(text)) as { error: unknown }).error
  t.match(failed('BAD_IMAGE\nExpected: a\nJPEG'), new EdgeInferError('BAD_IMAGE', 'Expected: a\nJPEG'))
  t.match(failed('NO_CODE\nwhy'), { code: 'INTERNAL', message: 'why' })
})
