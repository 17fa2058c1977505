/** Callers that end their side after their request, `shutdown(SHUT_WR)`, and those that are gone. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { face } from '../helpers/pictures.js'
import { RawClient, type RawReply } from './raw-client.js'
import { nestedList, post, startServer, TEXT_FORMS } from './server.js'

const PATHS = ['execute_task', 'execute_task_old', 'execute_task_new', 'concurrent_execute_task_new']

const { port, url, workers } = await startServer(t, {
  tasks: { face_detection: { workers: 1 }, face_alignment: { workers: 1 } },
})

const json = (members: unknown): Buffer => Buffer.from(typeof members === 'string' ? members : JSON.stringify(members))

/** A request as it goes over the wire; `chunked` where its length is not said beforehand. */
function wire(path: string, body: Buffer, type = 'application/json', chunked = false): Buffer {
  const length = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
  const sent = chunked ? [`${body.length.toString(16)}\r\n`, body, '\r\n0\r\n\r\n'] : [body]
  const start = `POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`
  return Buffer.concat([start, ...sent].map((part) => Buffer.from(part)))
}

function form(file: Buffer): { type: string; body: Buffer } {
  const part = '--limit\r\nContent-Disposition: form-data; name="image"; filename="f.jpg"\r\n' +
    'Content-Type: image/jpeg\r\n\r\n'
  return {
    type: 'multipart/form-data; boundary=limit',
    body: Buffer.concat([Buffer.from(part), file, Buffer.from('\r\n--limit--\r\n')]),
  }
}

/** Sends the bytes, ends this side, and reads as many answers; the server ends the connection after the last. */
async function askAndEnd(t: Test, bytes: Buffer, answers = 1, raw = new RawClient(port)): Promise<RawReply[]> {
  t.teardown(() => raw.close())
  await raw.send(bytes)
  raw.socket.end()
  const replies: RawReply[] = []
  for (let count = 0; count < answers; count++) replies.push(await raw.reply())
  while (!raw.closed) await delay(5)
  return replies
}

t.test('every task route answers, whatever form the body has', async (t) => {
  const small = face
  const expected = (await post(`${url}/execute_task_old/face_detection`, small, { 'content-type': 'image/jpeg' })).body
  const { type, body } = form(small)
  const width = (expected.task_conf as { resolution: { w: number } }).resolution.w
  const bodies: [Buffer, string?, boolean?][] = [
    ...Object.values(TEXT_FORMS).map((encode): [Buffer] => [json({ image: encode(small) })]),
    [json(`{"image":${await nestedList(small, width)}}`)],
    [small, 'image/jpeg'], [small, 'image/jpeg', true], [body, type], [body, type, true],
    [json({ image: TEXT_FORMS.literal(small) }), 'text/plain', true],
  ]
  for (const path of PATHS) {
    for (const [content, kind, chunked] of bodies) {
      const [reply] = await askAndEnd(t, wire(`/${path}/face_detection`, content, kind, chunked)) as [RawReply]
      t.match(reply, { status: 200, body: { execute_flag: true, bbox: expected.bbox } }, `${path} ${kind}`)
    }
    const faces = wire(`/${path}/face_alignment`, json({ faces: [TEXT_FORMS.base64(small)] }))
    t.match(await askAndEnd(t, faces), [{ status: 200, body: { execute_flag: true } }])
    const list = wire(`/${path}/face_detection`, json({ image_list: [small, small].map(TEXT_FORMS.base64) }))
    const [several] = await askAndEnd(t, list) as [RawReply]
    t.match(several.body.output_ctx_list, [{ bbox: expected.bbox }, { bbox: expected.bbox }])
  }
})

t.test('so do the other routes, and refusals', async (t) => {
  const picture = { name: 'image', shape: [1], datatype: 'BYTES', data: [face.toString('base64')] }
  const asked: [string, unknown, object][] = [
    ['/v2/models/face_detection/infer', { inputs: [picture] }, { status: 200, body: { outputs: [] } }],
    ['/decrease_work_process', { task_name: 'face_detection' }, { status: 409, body: { decrease_flag: false } }],
    ['/execute_task/face_detection', { image: 'none' }, { status: 400, body: { execute_flag: false } }],
    ['/execute_task/cats', {}, { status: 404, body: { execute_flag: false } }],
  ]
  for (const [path, body, reply] of asked) t.match(await askAndEnd(t, wire(path, json(body))), [reply], path)
  t.match(await askAndEnd(t, Buffer.from('GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n')), [{ status: 200 }])
})

t.test('requests in a row, on a connection that was used before', async (t) => {
  const good = wire('/execute_task_old/face_detection', json({ image: TEXT_FORMS.literal(face) }))
  const bad = wire('/execute_task_old/face_detection', json('{}'))
  const raw = new RawClient(port)
  t.teardown(() => raw.close())
  await raw.send(good)
  const first = await raw.reply()
  await raw.send(Buffer.concat([good, bad, good, Buffer.from('GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n')]))
  raw.socket.end()
  for (const status of [200, 400, 200, 200]) {
    const { status: answered, body } = await raw.reply()
    t.equal(answered, status)
    if (body.bbox) t.strictSame(body.bbox, first.body.bbox)
  }
  while (!raw.closed) await delay(5)
})

t.test('one who waits long is answered; those who are gone have their work cancelled', async (t) => {
  const request = wire('/execute_task_old/face_detection', json({ image: TEXT_FORMS.literal(face) }))
  const pid = workers.workers('face_detection')[0]?.pid ?? 0
  const queued = (): number => workers.workers('face_detection')[0]?.taskToDo ?? 0
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    const deadline = performance.now() + 20_000
    while (!isSo() && performance.now() < deadline) await delay(5)
    t.ok(isSo(), `${what}; queued are ${queued()}`)
  }
  process.kill(pid, 'SIGSTOP')
  t.teardown(() => process.kill(pid, 'SIGCONT'))
  const waiting = [askAndEnd(t, request), askAndEnd(t, Buffer.concat([request, request]), 2)]
  await until('those who wait have sent theirs', () => queued() === 3)
  const gone = await Promise.all(Array.from({ length: 20 }, () => new RawClient(port).send(request, request)))
  await until('so have the others', () => queued() === 43)
  for (const { socket } of gone) socket.destroy()
  await until('what nobody waits for is cancelled, while the worker stands still', () => queued() === 3)
  process.kill(pid, 'SIGCONT')
  for (const replies of await Promise.all(waiting)) {
    for (const reply of replies) t.match(reply, { status: 200, body: { execute_flag: true } })
  }
})

t.test('over TLS', async (t) => {
  const directory = t.testdir()
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=node', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certFile,
  ], { stdio: 'ignore' })
  const [key, cert] = [readFileSync(keyFile, 'utf8'), readFileSync(certFile, 'utf8')]
  const server = await startServer(t, { tasks: { face_detection: { workers: 1 } }, tls: { cert, key } })
  const request = wire('/execute_task/face_detection', face, 'image/jpeg')
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { allowHalfOpen: true, ca: cert, minVersion: version, maxVersion: version }
    const socket = connect(server.port, '127.0.0.1', options)
    const replies = await askAndEnd(t, Buffer.concat([request, request]), 2, new RawClient(0, socket))
    t.match(replies, [{ status: 200 }, { status: 200 }], version)
  }
})
