/** A server whose models must be fetched first. */
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { resolveModel } from '../../lib/models/index.js'
import { writeFaceModel } from '../helpers/models.js'
import { face } from '../helpers/pictures.js'
import { until } from '../helpers/processes.js'
import { makePackage, serve as serveHttp, useOwnEnvironment, writeCatalog } from '../models/helpers.js'
import type { CliResult } from './run.js'
import { serveInProcess, type Serving } from './serve-process.js'

const { paths: [carModel = ''] } = await resolveModel('yolov8n', { download: false })
const data = await readFile(carModel)

/** Serves face_detection by a model that is here, unless `alone`, and car_detection by the model `coming`. */
async function serve(t: Test, root: string, { alone = false } = {}): Promise<Serving> {
  const faces = { workers: 1, model_ctx: { weights: writeFaceModel(root, 'ultraface-constant') } }
  const cars = { workers: 1, model_ctx: { weights: 'coming' } }
  const config = join(root, 'serve.json')
  await writeFile(config, JSON.stringify({
    tasks: { ...(!alone && { face_detection: faces }), car_detection: cars },
  }))
  return serveInProcess(t, ['--config', config])
}

const isReady = (url: string): Promise<boolean> => fetch(`${url}/readyz`).then(({ ok }) => ok)
const post = (url: string, task: string): Promise<Response> => fetch(`${url}/execute_task/${task}`, {
  method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: face,
})
const messages = ({ stdout }: CliResult): string[] =>
  stdout.trim().split('\n').map((line) => (JSON.parse(line) as { msg: string }).msg)

t.test('a task whose model is on its way holds up no other, and is served when it has come', async (t) => {
  const { root } = await useOwnEnvironment(t)
  let finish = (): void => {}
  const source = await serveHttp(t, (_request, response) => {
    response.writeHead(200, { 'content-length': data.length })
    response.write(data.subarray(0, 1_500_000))
    finish = () => void response.end(data.subarray(1_500_000))
  })
  await writeCatalog(root, [{ name: 'coming', data, sources: [{ kind: 'https', url: source }] }])
  const { url, stop } = await serve(t, root)

  t.equal((await post(url, 'face_detection')).status, 200)
  t.strictSame(await (await fetch(`${url}/get_service_list`)).json(), ['face_detection'])
  const missing = { car_detection: { state: 'fetching', total: data.length } }
  await until(async () => /1\.5 of/.test(await (await fetch(`${url}/readyz`)).text()))
  const unready = await fetch(`${url}/readyz`)
  t.equal(unready.status, 503)
  t.match(await unready.json(), {
    status: 'not ready', tasks: ['face_detection'], missing: { car_detection: { bytes: 1_500_000 } },
    error: { code: 'STARTING', message: 'car_detection has no worker: its model is being fetched (1.5 of 12.8 MB)' },
  })
  t.match(await (await fetch(`${url}/healthz`)).json(), { status: 'ok', missing }, 'the probe of the start')
  const refused = await post(url, 'car_detection')
  t.strictSame([refused.status, refused.headers.get('retry-after')], [503, '5'])
  t.match(await refused.json(), {
    execute_flag: false, error: { code: 'STARTING', message: /^car_detection is not served yet: .*1\.5 of 12\.8 MB/ },
  })
  t.match(await (await fetch(`${url}/v2/models/car_detection/ready`)).json(), { ready: false })

  finish()
  t.ok(await until(() => isReady(url)))
  t.strictSame(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' })
  t.strictSame(await (await fetch(`${url}/get_service_list`)).json(), ['face_detection', 'car_detection'])
  t.equal((await post(url, 'car_detection')).status, 200)
  const ended = await stop()
  t.equal(ended.code, 0)
  t.match(ended.stderr, /car_detection is not served yet: its model is being fetched/)
  const log = messages(ended)
  t.strictSame(log.filter((message) => /^(fetching the model|served)$/.test(message)),
    ['fetching the model', 'served', 'served'])
})

t.test('the first signal ends a server whose downloads hang, and leaves nothing behind', async (t) => {
  const hang = (): void => {}
  const half = (response: ServerResponse, body: Buffer): void => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, body.length / 2))
  }
  const kinds: Record<string, 'https' | 'npm'> = {
    'before the answer': 'https', 'in the file': 'https', 'the registry': 'npm', 'the package': 'npm',
  }
  for (const [kind, source] of Object.entries(kinds)) {
    await t.test(kind, async (t) => {
      const { root, store } = await useOwnEnvironment(t)
      const small = randomBytes(300_000)
      const { spec, integrity, tarball } = await makePackage(root, 'slow@1.0.0', { 'coming.onnx': small })
      let asked = false
      const url = await serveHttp(t, ({ url: path }, response) => {
        asked ||= kind !== 'the package' || path === '/slow.tgz'
        if (kind === 'in the file') return half(response, small)
        if (path === '/slow.tgz') return half(response, tarball)
        if (kind !== 'the package') return hang()
        const dist = { tarball: `${url}/slow.tgz`, integrity }
        const versions = { '1.0.0': { name: 'slow', version: '1.0.0', dist } }
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ name: 'slow', 'dist-tags': { latest: '1.0.0' }, versions }))
      })
      process.env.npm_config_registry = url
      t.teardown(() => delete process.env.npm_config_registry)
      const from = { https: { kind: 'https', url }, npm: { kind: 'npm', package: spec, path: 'model/coming.onnx' } }
      const packages = { [spec]: { integrity, bytes: tarball.length } }
      await writeCatalog(root, [{ name: 'coming', data: small, sources: [from[source]] }], packages)
      const { url: server, stop } = await serve(t, root, { alone: true })
      t.ok(await until(() => asked))
      t.strictSame(await (await fetch(`${server}/get_service_list`)).json(), [])
      const ended = await stop()
      t.equal(ended.code, 0)
      t.equal(messages(ended).at(-1), 'stopped')
      t.strictSame(await readdir(store).catch(() => []), [])
    })
  }
})

t.test('a model that could not be fetched is tried again, unless there is nothing to serve', async (t) => {
  const { root } = await useOwnEnvironment(t)
  let isUp = false
  const source = await serveHttp(t, (_request, response) => {
    if (isUp) response.end(data)
    else response.writeHead(500).end()
  })
  await writeCatalog(root, [{ name: 'coming', data, sources: [{ kind: 'https', url: source }] }])
  const { url, stop } = await serve(t, root)
  await until(async () => /failed/.test(await (await fetch(`${url}/readyz`)).text()))
  const text = await (await fetch(`${url}/readyz`)).text()
  t.match(JSON.parse(text), { error: { code: 'NO_WORKER', message: /coming\.onnx could not be .*answered 500/ } })
  t.notMatch(text, root, 'the paths stay here')
  t.equal((await post(url, 'face_detection')).status, 200)
  isUp = true
  t.ok(await until(() => isReady(url)))
  t.equal((await stop()).code, 0)

  isUp = false
  const other = await useOwnEnvironment(t)
  await writeCatalog(other.root, [{ name: 'coming', data, sources: [{ kind: 'https', url: source }] }])
  const { result } = await serve(t, other.root, { alone: true })
  t.match(await result, { code: 1, stderr: /No task has a worker:\n {2}car_detection: .*answered 500.*\[NO_WORKER\]/s })
})
