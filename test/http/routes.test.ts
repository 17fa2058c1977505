import { networkInterfaces } from 'node:os'
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { ERROR_TABLE, type ErrorCode } from '../../lib/errors.js'
import { TASK_NAMES } from '../../lib/tasks/registry.js'
import { get, post, sample, startServer, type Answer, type Reply, type TestServer } from './server.js'

const faces = await sample('faces')

function refused(t: Test, { status, body }: Reply, code: ErrorCode, flag?: string): void {
  t.equal(status, ERROR_TABLE[code].status, code)
  t.match(body, { ...(flag && { [flag]: false }), error: { code, message: /\w+/ } })
  t.notMatch(JSON.stringify(body), /\/(work|home|root|tmp|usr)\b|node_modules|\bat .*\.js/, 'neither paths nor stacks')
}

t.test('what is not served, and how', async (t) => {
  const { url } = await startServer(t, { tasks: { face_detection: { workers: 1 } } })
  refused(t, await get(`${url}/nowhere`), 'NOT_FOUND')
  refused(t, await get(`${url}/add_work_process/more?x=1`), 'NOT_FOUND', 'create_flag')
  refused(t, await post(`${url}/execute_task/face_detection/more`, {}), 'NOT_FOUND', 'execute_flag')
  refused(t, await post(`${url}/execute_task/%zz`, {}), 'BAD_REQUEST', 'execute_flag')
  t.match((await get(`${url}/v2/%zz`)).body, { error: /zz/ })
  refused(t, await get(`${url}/execute_task/face_detection`), 'METHOD_NOT_ALLOWED', 'execute_flag')
  t.equal((await get(`${url}/add_work_process`)).headers.get('allow'), 'POST, OPTIONS')
  refused(t, await get(`${url}/add_work_process`), 'METHOD_NOT_ALLOWED', 'create_flag')
  t.equal((await post(`${url}/get_service_list`, {})).headers.get('allow'), 'GET, HEAD, OPTIONS')
  for (const path of ['execute_task/dog_detection', 'execute_task_old', `execute_task_new/${'x'.repeat(300)}`]) {
    const reply = await post(`${url}/${path}`, { image: 'x' })
    refused(t, reply, path.length > 100 ? 'BAD_REQUEST' : 'UNKNOWN_TASK', 'execute_flag')
    t.equal((reply.body.proc_resource_info as Answer).pid, 0)
  }
  refused(t, await post(`${url}/execute_task/car_detection`, faces, { 'content-type': 'image/jpeg' }),
    'NO_WORKER', 'execute_flag')
  for (const type of ['text/html', 'image/gif', 'application/xml', 'json']) {
    refused(t, await post(`${url}/execute_task/face_detection`, faces, { 'content-type': type }),
      'UNSUPPORTED_MEDIA_TYPE', 'execute_flag')
  }
  refused(t, await post(`${url}/execute_task/face_detection`, faces, { 'content-type': 'text/plain' }),
    'UNSUPPORTED_MEDIA_TYPE', 'execute_flag')
  refused(t, await post(`${url}/execute_task/face_detection?timeout_ms=1`, faces, { 'content-type': 'image/jpeg' }),
    'TIMEOUT', 'execute_flag')
  const broken = '--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc'
  refused(t, await post(`${url}/execute_task/face_detection`, Buffer.from(broken),
    { 'content-type': 'multipart/form-data; boundary=x' }), 'BAD_REQUEST', 'execute_flag')
  const form = new FormData()
  form.append('photo', new Blob([faces]), 'a.jpg')
  refused(t, await post(`${url}/execute_task/face_detection`, form), 'BAD_REQUEST', 'execute_flag')

  const trailing = await post(`${url}/execute_task/face_detection/`, faces, { 'content-type': 'IMAGE/JPEG' })
  t.equal(trailing.status, 200, 'a slash at the end is no other route')
  const named = await get(`${url}/healthz`, { 'x-request-id': 'frame-7', origin: 'http://elsewhere.example' })
  t.equal(named.headers.get('x-request-id'), 'frame-7')
  t.equal(named.headers.get('access-control-allow-origin'), '*')
  t.match((await get(`${url}/healthz`, { 'x-request-id': 'a b' })).headers.get('x-request-id'), /^[\da-f-]{36}$/)
  const preflight = await fetch(`${url}/execute_task/face_detection`, {
    method: 'OPTIONS',
    headers: { origin: 'http://elsewhere.example', 'access-control-request-method': 'POST' },
  })
  t.equal(preflight.status, 204)
})

t.test('a full queue says when to come again', async (t) => {
  const { url } = await startServer(t, { tasks: { car_detection: { workers: 1 } }, queueSize: 2 })
  const replies = await Promise.all(Array.from({ length: 12 }, () =>
    post(`${url}/execute_task/car_detection`, faces, { 'content-type': 'image/jpeg' })))
  const full = replies.filter(({ status }) => status !== 200)
  t.ok(full.length > 0 && full.length < 12)
  for (const reply of full) {
    refused(t, reply, 'QUEUE_FULL', 'execute_flag')
    t.ok(Number(reply.headers.get('retry-after')) >= 1)
  }
})

t.test('workers are added and removed, limits are set, and what cannot be is refused', async (t) => {
  const { url, workers } = await startServer(t, { tasks: { face_detection: { workers: 1 } } })
  t.same((await get(`${url}/get_service_list`)).body, ['face_detection'])
  t.match((await get(`${url}/readyz`)).body, { status: 'ready', tasks: ['face_detection'] })

  const added = await post(`${url}/add_work_process`, { task_name: 'face_detection', model_ctx: { conf_thres: 0.8 } })
  t.match(added, { status: 200, body: { create_flag: true, pid: Number, model: 'ultraface-rfb-320' } })
  t.same(workers.workers('face_detection').map(({ pid }) => pid).includes(added.body.pid as number), true)
  const other = await post(`${url}/add_work_process`, { task_name: 'face_alignment' })
  t.match(other.body, { create_flag: true, task_name: 'face_alignment' }, 'a task that was not served')
  t.same((await get(`${url}/get_service_list`)).body, ['face_detection', 'face_alignment'])

  refused(t, await post(`${url}/add_work_process`, {}), 'BAD_REQUEST', 'create_flag')
  refused(t, await post(`${url}/add_work_process`, { task_name: 5 }), 'BAD_REQUEST', 'create_flag')
  refused(t, await post(`${url}/add_work_process`, { task_name: 'dogs' }), 'UNKNOWN_TASK', 'create_flag')
  refused(t, await post(`${url}/limit_process_resource`, { pid: 1, task_name: 'dogs' }), 'UNKNOWN_TASK', 'limit_flag')
  refused(t, await post(`${url}/add_work_process`, { task_name: 'face_detection', model_ctx: 3 }), 'BAD_MODEL_CTX',
    'create_flag')
  refused(t, await post(`${url}/add_work_process`, { task_name: 'face_detection', model_ctx: {
    weights: '/etc/hostname.onnx',
  } }),
  'UNKNOWN_MODEL', 'create_flag')
  refused(t, await post(`${url}/add_work_process`, Buffer.from('{"task_name"'), { 'content-type': 'application/json' }),
    'BAD_REQUEST', 'create_flag')
  refused(t, await post(`${url}/add_work_process`, { task_name: 'x'.repeat(2 ** 17) }), 'TOO_LARGE', 'create_flag')

  const limits = { task_name: 'face_detection', cpu_util_limit: 0.8, mem_util_limit: 1 }
  const limited = await post(`${url}/limit_task_resource`, limits)
  if (workers.limits.available) {
    t.match(limited, { status: 200, body: { limit_flag: true, mem_util_limit: 1 } })
    t.ok(Math.abs(limited.body.cpu_util_limit as number - 0.8) < 0.01)
    const one = await post(`${url}/limit_process_resource`, {
      pid: added.body.pid, task_name: 'face_detection', cpu_util_limit: 0.5,
    })
    t.match(one, { status: 200, body: { limit_flag: true, pid: added.body.pid } })
    const { body } = await post(`${url}/execute_task/face_detection`, faces, { 'content-type': 'image/jpeg' })
    t.ok((body.proc_resource_info as { cpu_util_limit: number }).cpu_util_limit < 0.81)
    const planned = { task_name: 'face_detection', cpu_util_limit: 0.7, mem_util_limit: 1e-4 }
    const tooLow = await post(`${url}/limit_task_resource`, planned)
    refused(t, tooLow, 'LIMIT_TOO_LOW', 'limit_flag')
    t.same(tooLow.body.applied, ['cpu_util_limit'])
    refused(t, await post(`${url}/limit_task_resource`, { ...planned, mem_util_limit: 0 }), 'BAD_LIMIT', 'limit_flag')
    t.match(workers.taskLimits('face_detection'), { cpuUtilLimit: 0.7, memUtilLimit: 1 })
  } else {
    refused(t, limited, 'CGROUP_UNAVAILABLE', 'limit_flag')
  }
  refused(t, await post(`${url}/limit_task_resource`, { ...limits, cpu_util_limit: 1.5 }), 'BAD_LIMIT', 'limit_flag')
  refused(t, await post(
    `${url}/limit_process_resource`, { pid: process.pid, cpu_util_limit: 0.5 },
  ), 'UNKNOWN_PID', 'limit_flag')

  const removed = await post(`${url}/decrease_work_process`, { task_name: 'face_detection' })
  t.match(removed.body, { decrease_flag: true, pid: added.body.pid }, 'the newest goes')
  refused(
    t, await post(`${url}/decrease_work_process`, { task_name: 'face_detection' }), 'LAST_WORKER', 'decrease_flag',
  )
})

t.test('who may use the control routes', async (t) => {
  const start = (control: { token?: string; open?: boolean }): Promise<TestServer> =>
    startServer(t, { tasks: { face_detection: { workers: 1 } }, control: {
      token: control.token, open: control.open ?? false,
    } })
  const paths = ['add_work_process', 'decrease_work_process', 'limit_process_resource', 'limit_task_resource']
  /** A body that is refused when it is read, so that nothing is changed where the caller is let in. */
  const ask = (server: TestServer, path: string, headers: Record<string, string> = {}): Promise<Reply> =>
    post(`${server.url}/${path}`, {}, headers)

  const local = await start({})
  for (const path of paths) {
    t.equal((await ask(local, path)).status, 400, 'this machine is let in')
    refused(t, await ask(local, path, { origin: 'http://elsewhere.example' }), 'UNAUTHORIZED')
    refused(t, await ask(local, path, { 'x-forwarded-for': '10.0.0.1' }), 'UNAUTHORIZED')
    t.equal((await ask(local, path, { origin: local.url })).status, 400, 'so is a page of its own')
  }
  t.equal((await post(`${local.url}/execute_task/face_detection`, faces, { 'content-type': 'image/jpeg', origin: 'http://a.example' })).status, 200)

  const guarded = await start({ token: 'correct-horse' })
  for (const path of paths) {
    const reply = await ask(guarded, path)
    refused(t, reply, 'UNAUTHORIZED')
    t.match(reply.headers.get('www-authenticate'), /^Bearer/)
    refused(t, await ask(guarded, path, { authorization: 'Bearer correct-hors' }), 'UNAUTHORIZED')
    refused(t, await ask(guarded, path, { authorization: 'Basic correct-horse' }), 'UNAUTHORIZED')
    t.equal((await ask(guarded, path, { authorization: 'bearer correct-horse', origin: 'http://a.example' })).status, 400)
  }
  t.equal((await get(`${guarded.url}/readyz`)).status, 200, 'the other routes need no token')
})

const outside = Object.values(networkInterfaces()).flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address ?? ''
const noAddress = outside ? false : 'this machine has no address but loopback'

t.test('callers from elsewhere', { skip: noAddress }, async (t) => {
  for (const open of [false, true]) {
    const server = await startServer(t, {
      tasks: { face_detection: { workers: 1 } }, host: '0.0.0.0', control: { token: undefined, open },
    })
    t.equal(await statusFrom(outside, server.port), open ? 400 : 401, `open: ${open}`)
  }
})

/** Asks this machine by its own outward address, so that the call does not come from loopback. */
async function statusFrom(address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: address, port, localAddress: address, method: 'POST', path: '/add_work_process',
    }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    call.on('error', reject).end('{}')
  })
}

interface OpenApi {
  openapi: string
  paths: Record<string, Record<string, { responses: Record<string, unknown>; requestBody?: { content: object } }>>
  components: { schemas: Record<string, unknown> }
}

t.test('the OpenAPI document and its page', async (t) => {
  const { url, server } = await startServer(t, { tasks: { face_detection: { workers: 1 } } })
  const document = (await get(`${url}/openapi.json`)).body as unknown as OpenApi
  t.equal(document.openapi, '3.1.0')
  const expected = [
    ...['execute_task', 'execute_task_old', 'execute_task_new', 'concurrent_execute_task_new']
      .flatMap((path) => TASK_NAMES.map((task) => `/${path}/${task}`)),
    '/get_service_list', '/add_work_process', '/decrease_work_process', '/limit_process_resource',
    '/limit_task_resource',
    '/healthz', '/readyz', '/metrics',
  ]
  t.same(expected.filter((path) => !document.paths[path]), [], 'every route is there')
  for (const [path, methods] of Object.entries(document.paths)) {
    const url = path.replaceAll(/\{(\w+)\}/g, ':$1')
    for (const [method, { responses }] of Object.entries(methods)) {
      t.ok(server.app.hasRoute({ url, method: method.toUpperCase() }), `${method} ${path}`)
      t.ok(responses['200'])
    }
  }
  t.same(Object.keys(document.paths['/execute_task/face_alignment']?.post?.requestBody?.content ?? {}), [
    'application/json', 'image/jpeg', 'image/png', 'image/webp', 'image/bmp', 'multipart/form-data',
  ])
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference)
  t.ok(references.length > 10)
  for (const reference of new Set(references)) {
    const name = /^#\/components\/schemas\/(.+)$/.exec(reference ?? '')?.[1]
    t.ok(name && document.components.schemas[name], `${reference} is there`)
  }
  const page = await fetch(`${url}/docs/`)
  t.match(page.headers.get('content-type'), /html/)
  t.notMatch(page.headers.get('content-security-policy'), /upgrade-insecure/, 'the page works over http')
  t.equal((await fetch(`${url}/docs/static/swagger-ui.css`)).status, 200)
})
