import { Agent, request } from 'node:http'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { resolveServeConfig } from '../../lib/cli/config.js'
import { resolveSample } from '../../lib/models/index.js'
import { runCli } from './run.js'
import { serveInProcess, type Serving } from './serve-process.js'

const directory = mkdtempSync(join(tmpdir(), 'edge-infer-serve-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))
const picture = readFileSync(await resolveSample('faces'))

function file(name: string, content: unknown): string {
  const path = join(directory, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2))
  return path
}

const serve = (...args: string[]): Promise<Serving> => serveInProcess(t, args)

function post(url: string, agent: Agent): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const call = request(`${url}/execute_task/face_detection`, {
      agent, method: 'POST', headers: { 'content-type': 'image/jpeg', 'content-length': picture.length },
    }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({
        status: response.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown>,
      }))
      response.on('error', reject)
    })
    call.on('error', reject)
    call.end(picture)
  })
}

t.test('serves what it says, and ends in order', async (t) => {
  const { child, result, url, table } = await serve('--task', 'face_detection=2', '--task', 'face_alignment')
  t.match(table, /TASK +MODEL +WORKERS +PIDS/)
  const pids = /face_detection +ultraface-rfb-320 +2 +(\d+) (\d+)/.exec(table)?.slice(1).map(Number) ?? []
  t.equal(pids.length, 2)
  t.same(await (await fetch(`${url}/get_service_list`)).json(), ['face_detection', 'face_alignment'])
  const answer = await post(url, new Agent())
  t.ok(pids.includes((answer.body.proc_resource_info as { pid: number }).pid), 'by one of the processes of the table')
  child.kill('SIGTERM')
  const { code, stdout } = await result
  t.equal(code, 0)
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { msg: string; url?: string })
  t.equal(lines.find(({ msg }) => msg === 'listening')?.url, url, 'the log is JSON and nothing else')
  for (const pid of pids) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})

t.test('a collector of traces that is not there is a warning, and the end is in order', async (t) => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  const variables = {
    EDGE_INFER_TRACE: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_TIMEOUT: '500',
  }
  Object.assign(process.env, variables)
  t.teardown(() => Object.keys(variables).forEach((name) => delete process.env[name]))
  const { child, result, url } = await serve('--task', 'face_detection=1')
  t.equal((await post(url, new Agent())).status, 200)
  child.kill('SIGTERM')
  const { code, stdout, stderr } = await result
  t.equal(code, 0)
  t.notMatch(stderr, /error/i)
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as
    { msg: string; reason?: string; level: number })
  t.match(lines.filter(({ msg }) => msg === 'traces were not sent'), [{ level: 40, reason: /ECONNREFUSED/ }])
  t.equal(lines.at(-1)?.msg, 'stopped')
})

t.test('SIGTERM under load loses no request', async (t) => {
  const { child, result, url } = await serve('--task', 'face_detection=2')
  const keepAlive = new Agent({ keepAlive: true, maxSockets: 6 })
  const fresh = new Agent({ keepAlive: false })
  let answered = 0
  let answeredAfter = 0
  let stopping = false
  const lost: string[] = []
  /** Asks until nobody listens any more. */
  const client = async (agent: Agent): Promise<void> => {
    for (;;) {
      try {
        const { status } = await post(url, agent)
        if (status === 200) answered++
        else lost.push(`status ${status}`)
        if (stopping) answeredAfter++
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'ECONNREFUSED') lost.push(String(code))
        return
      }
    }
  }
  const clients = [...Array.from({ length: 6 }, () => client(keepAlive)), client(fresh), client(fresh)]
  while (answered <= 20 && lost.length === 0) await delay(100)
  stopping = true
  child.kill('SIGTERM')
  await Promise.all(clients)
  t.same(lost, [])
  t.ok(answeredAfter >= 6, `${answeredAfter} after the signal`)
  t.equal((await result).code, 0)
})

t.test('while it stops it is not ready, and a second signal ends it at once', async (t) => {
  const { child, result, url } = await serve('--task', 'face_detection')
  const agent = new Agent({ keepAlive: true })
  const ready = (): Promise<[number, string | undefined]> => new Promise((resolve, reject) => {
    request(`${url}/readyz`, { agent }, (response) => {
      response.resume().on('end', () => resolve([response.statusCode ?? 0, response.headers.connection]))
    }).on('error', reject).end()
  })
  t.same(await ready(), [200, 'keep-alive'])
  const hanging = request(`${url}/execute_task/face_detection`, {
    method: 'POST', headers: { 'content-type': 'image/jpeg', 'content-length': picture.length },
  })
  hanging.on('error', () => {})
  hanging.write(picture.subarray(0, 100))
  await delay(200)
  child.kill('SIGTERM')
  let answer = await ready()
  while (answer[0] === 200) answer = await ready()
  t.same(answer, [503, 'close'])
  await delay(1500)
  t.equal(child.exitCode, null, 'the request that is under way is waited for')
  child.kill('SIGINT')
  t.equal((await result).code, 130)
})

t.test('a task without a model is left out, and why is said', async (t) => {
  const { child, result, url, table } = await serve('--config', file('no-model.json', {
    tasks: { face_detection: 1, car_detection: { workers: 1, model_ctx: { weights: join(directory, 'none.onnx') } } },
  }))
  t.match(table, /car_detection is not served: .*none\.onnx/)
  t.same(await (await fetch(`${url}/get_service_list`)).json(), ['face_detection'])
  const refused = await fetch(`${url}/execute_task/car_detection`, { method: 'POST', body: picture })
  t.equal(refused.status, 503)
  const text = await refused.text()
  t.match(text, /NO_WORKER.*none\.onnx/)
  t.notMatch(text, directory, 'the path stays here')
  child.kill('SIGTERM')
  await result
})

t.test('addresses that cannot be listened on', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const port = String((other.address() as AddressInfo).port)
  const [used, foreign] = await Promise.all([
    runCli('serve', '--task', 'face_detection', '--port', port),
    runCli('serve', '--task', 'face_detection', '--port', '0', '--host', '203.0.113.7'),
  ])
  t.match(used, { code: 1, stderr: new RegExp(`Port ${port} of 127.0.0.1 is in use.*--port.*BAD_OPTION`) })
  t.match(foreign, { code: 1, stderr: /no address 203\.0\.113\.7.*BAD_OPTION/ })
})

t.test('wrong options say where they stand, what is expected and what was received', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['--port', '70000'], /--port: Expected a whole number from 0 to 65535 but received "70000"/],
    [['--task', 'dog_detection=1'], /--task: Expected tasks .*face_detection=2.* but received "dog_detection=1"/],
    [['--task', 'face_detection=0'], /--task: Expected .*1 to 256.* but received/],
    [['--device', 'gpu'], /--device: Expected cpu, cuda\[:n\] or tensorrt\[:n\] but received "gpu"/],
    [['--token-file', join(directory, 'none')], /--token-file: Expected a readable file/],
    [['--advertise', 'here'], /--advertise: Expected ip or ip:port/],
    [['--config', join(directory, 'none.json')], /none\.json cannot be read/],
    [['--config', file('a.json', '{\n  "host": "127.0.0.1",\n  "port": "5500"\n}')],
      /a\.json:3: port: Expected a whole number .* but received "5500"/],
    [['--config', file('b.json', '{\n  "tasks": {"face_detection": 1},\n\n  "prot": 1\n}')],
      /b\.json:4: Expected one of host, .* but received the option prot/],
    [['--config', file('c.json', '{\n  "port": 1,\n  "host" "x"\n}')], /c\.json:3: Expected JSON/],
    [['--config', file('d.json', '{"tasks":\n {"face_detection": -1}}')], /d\.json:1: tasks: Expected tasks/],
    [['--config', file('e.json', '[]')], /e\.json:1: Expected a JSON object/],
  ]
  for (const [args, message] of wrong) {
    const { code, stderr } = await runCli('serve', ...args)
    t.equal(code, 1, args.join(' '))
    t.match(stderr, message)
    t.match(stderr, /BAD_OPTION/)
  }
  t.throws(() => resolveServeConfig({}, { EDGE_INFER_THREADS: 'all' }), {
    message: /^EDGE_INFER_THREADS: Expected a whole number/,
  })
  t.throws(() => resolveServeConfig({}, { EDGE_INFER_OPEN_CONTROL: 'maybe' }), {
    message: /EDGE_INFER_OPEN_CONTROL: Expected true or false/,
  })
  t.throws(() => resolveServeConfig({ token: 'short' }, {}), {
    message: /--token: Expected a token of 8 characters or more.* but received something else/,
  })
  t.throws(() => resolveServeConfig({
    token: 'long-enough', tokenFile: file('t', 'other-token'),
  }, {}), { message: /both/ })
})

t.test('arguments come before variables, variables before the file, the file before what holds by default',
  async (t) => {
    const config = file('all.json', {
      host: '0.0.0.0', port: 1, queue_size: 9, log_level: 'warn', models: 'models:more', token_file: 'secret',
      open_control: true,
      trace: true, render: ['car_detection'],
      tasks: { car_detection: { workers: 2, model_ctx: { conf_thres: 0.5 } } }, advertise: '[fd00::1]:77',
    })
    file('secret', 'token-of-the-file\n')
    const environment = {
      EDGE_INFER_CONFIG: config, EDGE_INFER_PORT: '2', EDGE_INFER_LOG_LEVEL: 'debug', EDGE_INFER_HOST: '',
    }
    t.same(resolveServeConfig({ port: '3' }, environment), {
      host: '0.0.0.0',
      port: 3,
      tasks: { car_detection: { workers: 2, modelContext: { conf_thres: 0.5 } } },
      models: `${join(directory, 'models')}:${join(directory, 'more')}`,
      render: ['car_detection'],
      device: 'cpu',
      threads: undefined,
      queue_size: 9,
      token: 'token-of-the-file',
      open_control: true,
      trace: true,
      role: 'cloud',
      open_registration: false,
      log_level: 'debug',
      advertise: { ip: 'fd00::1', port: 77 },
    })
    t.equal(resolveServeConfig({}, { ...environment, EDGE_INFER_TOKEN: 'token-of-the-variable' }).token,
      'token-of-the-variable')
    t.same(resolveServeConfig({ task: ['face_detection=3', 'car_detection'] }, environment).tasks, {
      face_detection: { workers: 3, modelContext: undefined }, car_detection: { workers: 1, modelContext: undefined },
    })
    t.equal(resolveServeConfig({ task: ['face_detection'] }, { EDGE_INFER_TASK: 'car_detection' }).tasks.car_detection,
      undefined)
    const [face, car, helmet] = ['face_alignment', 'car_detection', 'helmet_detection']
    t.same(resolveServeConfig({ render: [face, helmet] }, environment).render, [face, helmet])
    t.same(resolveServeConfig({}, { EDGE_INFER_RENDER: `${face},${car}` }).render, [face, car])
    t.throws(() => resolveServeConfig({ render: ['cats'] }, {}),
      { message: /--render: Expected tasks, out of face_detection, .* but received "cats"/ })
    t.equal(Object.keys(resolveServeConfig({}, {}).tasks).length, 4, 'all tasks')
  })
