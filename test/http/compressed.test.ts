/** Bodies with `Content-Encoding`, as the clients of Triton and KServe send them, and answers with one. */
import { request } from 'node:http'
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'
import t from 'tap'
import { face } from '../helpers/pictures.js'
import { head, RawClient } from './raw-client.js'
import { nestedList, post, startServer, TEXT_FORMS, type Reply } from './server.js'

const CODINGS = { gzip: gzipSync, 'x-gzip': gzipSync, deflate: deflateSync } as const
const TASK = '/execute_task_old/face_detection'
const INFER = '/v2/models/face_detection/infer'
const LIMIT = 2 ** 22

const { url, port } = await startServer(t, {
  tasks: { face_detection: { workers: 1 } }, settings: { bodyLimit: LIMIT },
})

const json = (members: unknown): Buffer => Buffer.from(JSON.stringify(members))
const send = (path: string, body: Buffer, headers: Record<string, string> = {}): Promise<Reply> =>
  post(url + path, body, { 'content-type': 'application/json', ...headers })

const expected = (await send(TASK, face, { 'content-type': 'image/jpeg' })).body

/** The JSON and the bytes of Triton's client in Python for one picture, with outputs as bytes. */
function tritonRequest(outputs: readonly string[]): { head: Buffer; tensor: Buffer } {
  const tensor = Buffer.concat([Buffer.alloc(4), face])
  tensor.writeUInt32LE(face.length)
  const head = json({
    id: '7',
    inputs: [{
      name: 'image', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: tensor.length },
    }],
    outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })),
  })
  return { head, tensor }
}

interface RawAnswer {
  status: number
  headers: NodeJS.Dict<string | string[]>
  body: Buffer
}

/** Answers as they come over the wire. */
function ask(path: string, body: Buffer, headers: Record<string, string | number>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, method: 'POST', headers }, (answer) => {
      answer.toArray().then((pieces) => resolve({
        status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces as Buffer[]),
      }), reject)
    })
    sent.on('error', reject).end(body)
  })
}

t.test('every form of a body but a form may be compressed', async (t) => {
  const list = Buffer.from(`{"image":${await nestedList(face, 450)}}`)
  for (const [coding, compress] of Object.entries(CODINGS)) {
    const headers = { 'content-encoding': coding }
    for (const [form, encode] of Object.entries(TEXT_FORMS)) {
      const reply = await send(TASK, compress(json({ image: encode(face) })), headers)
      t.match(reply, { status: 200, body: { bbox: expected.bbox } }, `${coding} ${form}`)
    }
    t.match(await send(TASK, compress(list), headers), { status: 200, body: { bbox: expected.bbox } })
    const file = await send(TASK, compress(face), { ...headers, 'content-type': 'image/jpeg' })
    t.match(file, { status: 200, body: { bbox: expected.bbox } })
    const limited = await send('/decrease_work_process', compress(json({ task_name: 'face_detection' })), headers)
    t.match(limited, { status: 409, body: { decrease_flag: false } })
  }
  const form = new FormData()
  form.append('image', new Blob([face]), 'f.jpg')
  const refused = await post(url + TASK, form, { 'content-encoding': 'gzip' })
  t.match(refused, { status: 415, body: { error: { message: /form without content encoding/ } } })
  const unpacked = await send(TASK, json({ image: TEXT_FORMS.base64(face) }), { 'content-encoding': 'identity' })
  t.equal(unpacked.status, 200)
  const ended = await ask(TASK, Buffer.concat([gzipSync('{"image":"'), gzipSync(`${face.toString('base64')}"}`)]), {
    'content-encoding': 'gzip', 'transfer-encoding': 'chunked',
  })
  t.equal(ended.status, 200, 'several members of gzip, in chunks')
})

t.test('tensors behind the JSON, compressed in both directions as Triton has it', async (t) => {
  const { head, tensor } = tritonRequest(['boxes', 'labels'])
  const boxes = Buffer.from(Float32Array.from((expected.bbox as number[][]).flat()).buffer)
  const labels = Buffer.concat((expected.bbox as unknown[]).map(() => Buffer.from('\x04\0\0\0face', 'latin1')))
  for (const [coding, compress, unpack] of [
    ['gzip', gzipSync, gunzipSync], ['deflate', deflateSync, inflateSync],
  ] as const) {
    const { headers, status, body: sent } = await ask(INFER, compress(Buffer.concat([head, tensor])), {
      'Content-Encoding': coding, 'Accept-Encoding': coding, 'Inference-Header-Content-Length': head.length,
    })
    t.equal(status, 200)
    t.equal(headers['content-encoding'], coding)
    const body = unpack(sent)
    const length = Number(headers['inference-header-content-length'])
    t.strictSame(body.subarray(length), Buffer.concat([boxes, labels]))
    const many = json({ inputs: [{
      name: 'image', shape: [8], datatype: 'BYTES', data: Array.from({ length: 8 }, () => face.toString('base64')),
    }], parameters: { binary_data_output: true } })
    const plain = await ask(INFER, many, {})
    const packed = await ask(INFER, many, { 'Accept-Encoding': coding })
    t.match(packed.headers, { 'content-encoding': coding, vary: /accept-encoding/ })
    t.ok(packed.body.length < plain.body.length)
    const [long, short] = [plain.body, unpack(packed.body)].map((bytes, index) => {
      const { headers } = [plain, packed][index] as RawAnswer
      return bytes.subarray(Number(headers['inference-header-content-length']))
    })
    t.strictSame(long, short)
    const weighted = async (accepted: string) =>
      (await ask(INFER, many, { 'Accept-Encoding': accepted })).headers['content-encoding']
    const other = coding === 'gzip' ? 'deflate' : 'gzip'
    t.equal(await weighted(`${other};q=0.2, br, ${coding};q=0.9`), coding)
    t.equal(await weighted(`${coding}, ${other}`), coding)
    t.equal(await weighted(`${coding};q=0, br, *`), undefined)
    const refused = await ask(INFER, json({ inputs: [], more: 'x'.repeat(2000) }), { 'Accept-Encoding': coding })
    t.equal(refused.headers['content-encoding'], undefined, 'refusals are read as they are')
  }
})

t.test('what cannot be unpacked', async (t) => {
  const good = json({ image: TEXT_FORMS.base64(face) })
  for (const [coding, compress] of Object.entries(CODINGS)) {
    const packed = compress(good)
    const flipped = Buffer.from(packed)
    flipped[packed.length >> 1] = (flipped[packed.length >> 1] as number) ^ 0xff
    const damaged = {
      'cut off': packed.subarray(0, -10), flipped, 'not compressed': good,
      followed: Buffer.concat([packed, Buffer.from('and more')]), 'raw deflate': deflateRawSync(good),
    }
    for (const [what, body] of Object.entries(damaged)) {
      const message = new RegExp(`a body in ${coding.replace('x-', '')} but it cannot be unpacked: \\w+`)
      const reply = await send(TASK, body, { 'content-encoding': coding })
      t.match(reply, { status: 400, body: { execute_flag: false, error: { code: 'BAD_REQUEST', message } } }, what)
      t.match(await send(INFER, body, { 'content-encoding': coding }), { status: 400, body: { error: message } })
    }
    t.match(
      await send(TASK, Buffer.alloc(0), { 'content-encoding': coding }), { status: 400, body: { execute_flag: false } })
  }
  for (const coding of ['br', 'zstd', 'compress', 'gzip, gzip', 'gzip, identity']) {
    const message = new RegExp(`content encoding of gzip or deflate, or none, but received ${coding}`)
    const reply = await send(TASK, gzipSync(good), { 'content-encoding': coding })
    t.match(reply, { status: 415, body: { error: { code: 'UNSUPPORTED_MEDIA_TYPE', message } } })
    const inferred = await send(INFER, gzipSync(good), { 'content-encoding': coding })
    t.match(inferred, { status: 415, body: { error: message } })
  }
})

t.test('bodies compressed for the connection alone are refused, and the next request of the connection is right',
  async (t) => {
    const packed = gzipSync(json({ image: TEXT_FORMS.base64(face) }))
    const client = await new RawClient(port).send()
    const chunk = (body: Buffer): Buffer =>
      Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')])
    const message = /Expected Transfer-Encoding: chunked, or none, but received gzip, chunked/
    const expectations = {
      [TASK]: { execute_flag: false, error: { code: 'BAD_REQUEST', message } },
      '/limit_task_resource': { limit_flag: false, error: { code: 'BAD_REQUEST', message } },
      [INFER]: { error: message },
    }
    for (const [path, body] of Object.entries(expectations)) {
      await client.send(head(path, undefined, 'Transfer-Encoding: gzip, chunked'), chunk(packed))
      t.match(await client.reply(), { status: 400, body }, path)
      await client.send(head(TASK, undefined, 'Transfer-Encoding: Chunked', 'Content-Encoding: gzip'), chunk(packed))
      t.match(await client.reply(), { status: 200, body: { bbox: expected.bbox } }, 'the same connection')
    }
    await client.send(head(TASK, undefined, 'Transfer-Encoding: gzip'), packed)
    const refused = await client.reply()
    t.match(refused, { status: 400, headers: { connection: 'close' }, body: { execute_flag: false } },
      'where its body ends cannot be told')
    client.close()
  })

t.test('a bomb is refused before it has gone off', async (t) => {
  const bomb = gzipSync(Buffer.alloc(256 * 2 ** 20))
  t.ok(bomb.length < LIMIT)
  const before = process.memoryUsage.rss()
  for (const path of [TASK, INFER]) {
    const replies = await Promise.all(Array.from({ length: 8 }, () => send(path, bomb, { 'content-encoding': 'gzip' })))
    for (const reply of replies) t.match([reply.status, JSON.stringify(reply.body)], [413, /at most 4194304 bytes/])
  }
  const small = await send('/limit_task_resource', gzipSync(Buffer.alloc(2 ** 20, ' ')), { 'content-encoding': 'gzip' })
  t.match(small, { status: 413, body: { limit_flag: false, error: { message: /at most 65536 bytes/ } } })
  t.ok(process.memoryUsage.rss() - before < 256 * 2 ** 20, 'what 16 of them take is far less than one of them holds')
})

t.test('the good ones are still served', async (t) => {
  t.match(await send(TASK, face, { 'content-type': 'image/jpeg' }), { status: 200, body: { bbox: expected.bbox } })
})
