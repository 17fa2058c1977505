import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { decodeImage, EdgeInferClient, type ClientOptions, type TaskName } from '../../lib/client/index.js'
import { answer, codeOf, json, JPEG, refuse, TestNode, type Received, type Respond } from './helpers.js'

const FACES = { faces: [JPEG.toString('base64')], bbox: [[1, 2, 3, 4]], prob: [0.9] }

async function formOf(request: Received | undefined): Promise<{ files: unknown[]; input: unknown }> {
  const type = request?.headers['content-type'] ?? ''
  const form = await new Response(request?.body ?? null, { headers: { 'content-type': type } }).formData()
  const files: unknown[] = []
  for (const [name, part] of form) {
    if (typeof part !== 'string') files.push([name, part.type, Buffer.from(await part.arrayBuffer())])
  }
  return { files, input: JSON.parse(String(form.get('input'))) }
}

async function connect(t: Test, respond: Respond, options: ClientOptions = {}): Promise<[EdgeInferClient, TestNode]> {
  const node = await TestNode.start(t, respond)
  const client = new EdgeInferClient(node.url, options)
  t.teardown(() => client.close())
  return [client, node]
}

t.test('a single picture is the body, and the client adds its members to the answer', async (t) => {
  const [client, node] = await connect(t, async (_request, response) => {
    await new Promise((resolve) => setTimeout(resolve, 30))
    json(response, answer(FACES))
  })
  const found = await client.executeTask('face_detection', { image: JPEG }, {
    render: true, timeoutMs: 5000, taskConf: { fps: 25 },
  })
  const [request] = node.received
  t.equal(request?.url.pathname, '/execute_task/face_detection')
  t.same(Object.fromEntries(request?.url.searchParams ?? []), {
    task_conf: '{"fps":25}', render: 'true', timeout_ms: '5000',
  })
  t.equal(request?.headers['content-type'], 'image/jpeg')
  t.same(request?.body, JPEG)
  t.ok(found.proc_resource_info.all_latency >= 0.03 && found.proc_resource_info.all_latency < 60)
  t.match(found.proc_resource_info, { compute_latency: 0.02, pid: 4711, device_ip: '127.0.0.9' })
  t.same(found.proc_resource_info_list, [found.proc_resource_info], 'also of nodes that send no list')
  t.same(found.task_conf, { fps: 25, resolution: { w: 8, h: 6 } })
  t.same(decodeImage(found.faces[0] as string), JPEG)
})

t.test('the whole answer of one task is the input of the next', async (t) => {
  const heads = { count_result: { up: 1, total: 1 }, head_pose: [[1, 2, 3, 4, 5, 6]], bbox: FACES.bbox }
  const [client, node] = await connect(t, ({ url }, response) =>
    json(response, answer(url.pathname.endsWith('face_detection') ? FACES : heads)))
  const found = await client.executeTask('face_detection', { image: JPEG }, { taskConf: { fps: 25 } })
  const { count_result, head_pose, task_conf } = await client.executeTask('face_alignment', found)
  t.same({ count_result, head_pose }, { count_result: heads.count_result, head_pose: heads.head_pose })
  t.equal(task_conf.fps, 25, 'the stream keeps its configuration')
  const sent = JSON.parse(String(node.received[1]?.body)) as Record<string, unknown>
  t.match(sent, { ...FACES, task_conf: { fps: 25 }, timeout_ms: 30_000 })
  t.notOk('proc_resource_info' in sent)
})

t.test('each route has requests and answers of its own shape', async (t) => {
  const list = { output_ctx_list: [{ result: [] }, { result: [] }], proc_resource_info_list: [{ pid: 1 }, { pid: 2 }] }
  const single = { result: [], bbox: [], prob: [], bbox_list: [] }
  const [client, node] = await connect(t, ({ url }, response) =>
    json(response, answer(url.pathname.startsWith('/concurrent') ? list : single)))
  await client.executeTaskNew('car_detection', { image: JPEG.toString('base64') })
  await client.executeTaskOld('face_detection', { image: JPEG })
  await client.executeTask('helmet_detection', { image_list: [JPEG, JPEG] })
  const cars = await client.concurrentExecuteTask('car_detection', { image_list: [JPEG, JPEG.toString('base64')] })
  t.equal(cars.output_ctx_list.length, 2)
  t.same(cars.proc_resource_info_list.map(({ device_ip }) => device_ip), ['127.0.0.1', '127.0.0.1'])
  t.same(node.paths, [
    '/execute_task_new/car_detection', '/execute_task_old/face_detection', '/execute_task/helmet_detection',
    '/concurrent_execute_task_new/car_detection',
  ])
  const clip = ['image_list', 'image/jpeg', JPEG]
  t.same(await formOf(node.received[2]), { files: [clip, clip], input: { timeout_ms: 30_000 } }, 'several files')
  const base64 = JPEG.toString('base64')
  t.match(JSON.parse(String(node.received[0]?.body)), { image: base64 })
  t.match(JSON.parse(String(node.received[3]?.body)), { image_list: [base64, base64] })
  const frame = { image: JPEG, bbox: [[1, 2, 3, 4]], prob: [0.9] }
  await client.executeTask('face_alignment', frame)
  t.equal(node.received[4]?.url.searchParams.get('bbox'), '[[1,2,3,4]]', 'few boxes go beside the picture')
  await client.executeTask('face_alignment', { ...frame, bbox: Array.from({ length: 750 }, () => [1, 2, 3, 4]) })
  const form = await formOf(node.received[5])
  t.same(form.files, [['image', 'image/jpeg', JPEG]], 'many boxes make it a form')
  t.equal((form.input as { bbox: unknown[] }).bbox.length, 750)
  // @ts-expect-error: a picture alone says nothing of where the faces are
  await client.executeTask('face_alignment', { image: JPEG })
})

t.test('old nodes are sent bytes literals', async (t) => {
  const respond: Respond = (_request, response) => json(response, answer(FACES))
  const [client, node] = await connect(t, respond, { imageEncoding: 'bytes-literal' })
  await client.executeTask('face_detection', { image: JPEG })
  const { image } = JSON.parse(String(node.received[0]?.body)) as { image: string }
  t.match(image, /^b'\\xff\\xd8/)
  t.same(decodeImage(image), JPEG)
})

t.test('status and control routes', async (t) => {
  const replies: Record<string, unknown> = {
    '/get_service_list': ['face_detection'],
    '/get_execute_url/car_detection': { '127.0.0.2:5500': { url: 'http://127.0.0.2:5500/…', cpu: 1 } },
    '/get_system_status': { cloud: {}, host: {} },
    '/get_resource_info': { cloud: {}, host: {} },
    '/get_cluster_info': { '127.0.0.2': { node_role: 'host' } },
    '/add_work_process': { create_flag: true, pid: 12 },
    '/decrease_work_process': { decrease_flag: true, pid: 12 },
    '/limit_process_resource': { limit_flag: true },
    '/limit_task_resource': { limit_flag: true },
    '/healthz': { status: 'ok' },
  }
  const [client, node] = await connect(t, ({ url }, response) =>
    url.pathname === '/readyz' ? json(response, { status: 'draining' }, 503) : json(response, replies[url.pathname]), {
    token: 'secret',
  })
  t.same(await client.getServiceList(), replies['/get_service_list'])
  t.same(await client.getExecuteUrl('car_detection'), replies['/get_execute_url/car_detection'])
  t.same(await client.getSystemStatus(), await client.getResourceInfo())
  t.same((await client.getClusterInfo())['127.0.0.2']?.node_role, 'host')
  t.equal((await client.addWorkProcess('car_detection', { weights: 'yolov8n' })).pid, 12)
  t.equal((await client.decreaseWorkProcess('car_detection')).decrease_flag, true)
  await client.limitProcessResource(12, 'car_detection', { cpu_util_limit: 0.5 })
  await client.limitTaskResource('car_detection', { cpu_util_limit: 0.5, mem_limit: 0.2 })
  t.equal(await client.healthz(), true)
  t.equal(await client.readyz(), false)
  const posted = node.received.filter(({ method }) => method === 'POST')
  t.same(posted.map(({ body }) => JSON.parse(String(body)) as unknown), [
    { task_name: 'car_detection', model_ctx: { weights: 'yolov8n' } },
    { task_name: 'car_detection' },
    { pid: 12, task_name: 'car_detection', cpu_util_limit: 0.5 },
    { task_name: 'car_detection', cpu_util_limit: 0.5, mem_limit: 0.2 },
  ])
  t.ok(node.received.every(({ headers }) => headers.authorization === 'Bearer secret'))
})

t.test('errors carry the code, the status and the reply of the node', async (t) => {
  const [client, node] = await connect(t, () => {})
  const run = (respond: Respond): Promise<unknown> => {
    node.respond = respond
    return client.executeTask('car_detection', { image: JPEG })
  }
  await t.rejects(run((_, response) => refuse(response, 400, 'BAD_IMAGE', 'Expected a JPEG')), {
    name: 'EdgeInferError', code: 'BAD_IMAGE', message: 'Expected a JPEG',
    details: { httpStatus: 400, serverCode: 'BAD_IMAGE', reply: { proc_resource_info: { pid: 7 } } },
  })
  await t.rejects(run((_, response) => refuse(response, 418, 'TEAPOT', 'short and stout')), {
    code: 'BAD_REQUEST', message: 'TEAPOT: short and stout', details: { httpStatus: 418, serverCode: 'TEAPOT' },
  })
  await t.rejects(run((_, response) => json(response, { execute_flag: false })), {
    code: 'INTERNAL', message: /status 200 and gave no reason/,
  })
  const html: Respond = (_, response) => {
    response.writeHead(502, {
      'content-type': 'text/html',
    }).end('<h1>Bad</h1>')
  }
  await t.rejects(run(html), {
    code: 'BAD_REPLY', message: /status 502 with text\/html beginning "<h1>Bad/, details: { httpStatus: 502 },
  })
  await t.rejects(run((_, response) => { response.end() }), { code: 'BAD_REPLY', message: /an empty body/ })
  await t.rejects(run((_, response) => json(response, 7)), { code: 'BAD_REPLY', message: /JSON object/ })
  t.equal(node.received.length, 6, 'none of them was tried again')
  const huge = { data: Buffer.alloc(6000 * 4000 * 3), width: 6000, height: 4000, channels: 3 }
  t.equal(await codeOf(client.executeTask('car_detection', { image: huge })), 'TOO_LARGE')
})

t.test('a reply that never ends is cut off, and one that is not HTTP is named as such', async (t) => {
  const flood: Respond = (_request, response) => { response.end(`"${'x'.repeat(5000)}"`) }
  const [client] = await connect(t, flood, { maxReplyBytes: 4096 })
  await t.rejects(client.getServiceList(), { code: 'BAD_REPLY', message: /larger than maxReplyBytes/ })
  const server = createTcpServer((socket) => { socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n') })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  await using other = new EdgeInferClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await t.rejects(other.getServiceList(), { code: 'BAD_REPLY', message: /does not answer in HTTP/ })
})

t.test('tasks and GET routes are sent again when the connection breaks; control routes never', async (t) => {
  let broken = 0
  const [client, node] = await connect(t, (_request, response) => {
    if (broken-- > 0) response.socket?.destroy()
    else json(response, answer(FACES))
  })
  broken = 2
  t.match(await client.executeTask('face_detection', { image: JPEG }), { execute_flag: true })
  t.equal(node.received.length, 3)
  broken = 3
  await t.rejects(client.getServiceList(), { code: 'NODE_UNREACHABLE', details: { url: node.url } })
  t.equal(node.received.length, 6)
  broken = 1
  t.equal(await codeOf(client.addWorkProcess('car_detection')), 'NODE_UNREACHABLE')
  t.equal(node.received.length, 7)
  await node.stop()
  await t.rejects(client.executeTask('face_detection', { image: JPEG }), {
    code: 'NODE_UNREACHABLE', message: /ECONNREFUSED/, details: { reason: 'ECONNREFUSED' },
  })
})

t.test('QUEUE_FULL is retried after Retry-After, where the deadline allows', async (t) => {
  let [full, retryAfter] = [1, '1']
  const [client, node] = await connect(t, (_request, response) => {
    if (full-- > 0) refuse(response, 503, 'QUEUE_FULL', 'full', { 'retry-after': retryAfter })
    else json(response, answer(FACES))
  })
  const begin = performance.now()
  t.match(await client.executeTask('face_detection', { image: JPEG }), { execute_flag: true })
  t.ok(performance.now() - begin >= 990)
  ;[full, retryAfter] = [1, '60']
  await t.rejects(client.executeTask('face_detection', { image: JPEG }, { timeoutMs: 59_000 }), {
    code: 'QUEUE_FULL', details: { retryAfterSeconds: 60 },
  })
  t.equal(node.received.length, 3)
})

t.test('a call ends at its deadline or when it is cancelled, and the client goes on', async (t) => {
  let hang = true
  const [client, node] = await connect(t, (_request, response) => { if (!hang) json(response, answer(FACES)) })
  await t.rejects(client.executeTask('face_detection', { image: JPEG }, { timeoutMs: 200 }), {
    code: 'TIMEOUT', message: /within 200 ms/, details: { url: node.url },
  })
  const controller = new AbortController()
  const call = client.executeTask('face_detection', { image: JPEG }, { signal: controller.signal })
  setTimeout(() => controller.abort(new Error('tired')), 100)
  await t.rejects(call, { code: 'ABORTED', cause: { message: 'tired' } })
  t.equal(await codeOf(client.getServiceList({ signal: AbortSignal.abort() })), 'ABORTED')
  t.equal(node.received.length, 2, 'neither was tried again')
  hang = false
  t.match(await client.executeTask('face_detection', { image: JPEG }), { execute_flag: true })
})

t.test('connections are kept and capped; closing waits for calls under way', async (t) => {
  const [client, node] = await connect(t, (_request, response) => {
    setTimeout(() => json(response, answer(FACES)), 20)
  }, { connections: 2 })
  const calls = Array.from({ length: 12 }, () => client.executeTask('face_detection', { image: JPEG }))
  const closed = client.close()
  t.equal(await codeOf(client.executeTask('face_detection', { image: JPEG })), 'CLOSED')
  t.equal((await Promise.all(calls)).length, 12)
  await closed
  t.equal(node.connections, 2)
})

t.test('https with a private certificate', async (t) => {
  const directory = t.testdir()
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert,
    '-subj', '/CN=node', '-addext', 'subjectAltName=IP:127.0.0.1',
  ])
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) =>
    json(response, ['car_detection']))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using client = new EdgeInferClient(url, { tls: { ca: readFileSync(cert) } })
  t.same(await client.getServiceList(), ['car_detection'])
  await using stranger = new EdgeInferClient(url)
  await t.rejects(stranger.getServiceList(), { code: 'NODE_UNREACHABLE', message: /self-signed/ })
})

t.test('a client behind a path of a proxy', async (t) => {
  const node = await TestNode.start(t, (_request, response) => json(response, []))
  await using client = new EdgeInferClient(`${node.url}/edge/`)
  await client.getServiceList()
  t.same(node.paths, ['/edge/get_service_list'])
})

t.test('options are checked', async (t) => {
  t.throws(() => new EdgeInferClient('localhost:5500'), { code: 'BAD_OPTION', message: /http or https URL/ })
  t.throws(() => new EdgeInferClient('http://127.0.0.1', { timeoutMs: 0 }), {
    code: 'BAD_OPTION', message: /timeoutMs.*0 of type number/,
  })
  await using client = new EdgeInferClient('http://127.0.0.1')
  t.equal(await codeOf(client.getServiceList({ timeoutMs: Number.NaN })), 'BAD_OPTION')
  // @ts-expect-error: there is no such task
  const unknown: TaskName = 'tea'
  t.ok(unknown)
})
