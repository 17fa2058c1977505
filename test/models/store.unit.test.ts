import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, readdir, rename, utimes, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { findModel, listModels, resolveModel, verifyModels } from '../../lib/models/index.js'
import { writeConstantModel } from '../helpers/onnx.js'
import { finished, runCli, runCliWith, spawnCli } from '../cli/run.js'
import { makePackage, serve, serveRegistry, useOwnEnvironment, writeCatalog } from './helpers.js'

const visible = async (store: string): Promise<string[]> =>
  (await readdir(store).catch(() => [])).filter((name) => name !== '.digests').sort()

t.test('a model is found on the search path by name and by digest, before the store', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const [first, second] = [randomBytes(5000), randomBytes(6000)]
  await writeCatalog(root, [
    { name: 'first', data: first, sources: [{ kind: 'file', path: 'source' }] },
    { name: 'second', data: second, sources: [{ kind: 'file', path: 'source/second.onnx' }] },
  ])
  await mkdir(join(root, 'source'))
  await writeFile(join(root, 'source', 'first.onnx'), first)
  await writeFile(join(root, 'source', 'second.onnx'), second)
  const absent = { code: 'MODEL_UNAVAILABLE', message: /models pull first/ }
  await t.rejects(resolveModel('first', { download: false }), absent)
  t.strictSame((await resolveModel('first')).paths, [join(store, 'first.onnx')], 'copied out of a directory')
  t.strictSame((await resolveModel('second')).paths, [join(store, 'second.onnx')], 'copied from a file')

  const usb = join(root, 'usb')
  await mkdir(usb)
  await writeFile(join(usb, 'first.onnx'), first)
  await writeFile(join(usb, 'renamed.bin'), second)
  process.env.EDGE_INFER_MODELS = `/nowhere:${usb}`
  t.strictSame((await resolveModel('first')).paths, [join(usb, 'first.onnx')])
  t.strictSame((await resolveModel('second')).paths, [join(usb, 'renamed.bin')])
  const [listed] = await listModels()
  t.equal(listed?.files[0]?.where, 'search path')

  await writeFile(join(usb, 'first.onnx'), randomBytes(5000))
  t.strictSame((await resolveModel('first')).paths, [join(store, 'first.onnx')], 'an impostor is passed over')
  await rename(store, `${store}-away`)
  await t.rejects(resolveModel('first'), { code: 'MODEL_DIGEST', message: /usb\/first\.onnx has SHA-256 .* expected / })
})

t.test('a file that is no catalogue model gets the defaults of its family', async (t) => {
  const { root } = await useOwnEnvironment(t)
  await writeCatalog(root, [])
  const mine = join(root, 'mine.onnx')
  for (const path of [mine, join(root, 'yolox-mine.onnx')]) writeConstantModel(path, [], [])
  const byTask = await resolveModel(mine, { task: 'face_alignment', usualFamily: 'hopenet' })
  t.match(byTask.entry, { family: 'hopenet', cropMargin: 0.3, labels: [] })
  t.match((await resolveModel(mine, { family: 'fsanet' })).entry, { family: 'fsanet', task: 'face_alignment' })
  const byName = await resolveModel(join(root, 'yolox-mine.onnx'))
  t.match(byName.entry, { family: 'yolox', preprocessing: { channelOrder: 'bgr' } })
  await t.rejects(resolveModel(mine), { code: 'BAD_OPTION', message: /family.*expected one of yolov8, / })
  await t.rejects(resolveModel(join(root, 'none.onnx')), { code: 'UNKNOWN_MODEL', message: /ENOENT/ })
  await t.rejects(resolveModel('weights/yolov5s.pt'), { code: 'UNKNOWN_MODEL', message: /exported/ })
  await t.rejects(resolveModel('yolov9000'), { code: 'UNKNOWN_MODEL', message: /catalogue \(.*yolov8n/ })
  const advice = /export\.py --weights yolov5s\.pt/
  await t.rejects(resolveModel('yolov5s.pt'), { code: 'MODEL_UNAVAILABLE', message: advice })
  t.ok(findModel('yolov5s.pt'))
})

t.test('a download that is wrong, broken off or refused leaves nothing; the next source is tried', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(300_000)
  const url = await serve(t, (request, response) => {
    if (request.url === '/good') return void response.end(data)
    if (request.url === '/wrong') return void response.end(randomBytes(300_000))
    if (request.url === '/short') return void response.end(data.subarray(0, 100_000))
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': data.length })
      response.write(data.subarray(0, 100_000), () => response.destroy())
      return
    }
    response.writeHead(404).end()
  })
  const source = (path: string) => ({ kind: 'https', url: `${url}/${path}` })
  const closed = 'http://127.0.0.1:1/'
  await writeCatalog(root, [
    { name: 'wrong', data, sources: [source('wrong')] },
    { name: 'short', data, sources: [source('short')] },
    { name: 'cut', data, sources: [source('cut')] },
    { name: 'gone', data, sources: [source('gone'), { ...source(''), url: closed }, { kind: 'file', path: 'no' }] },
    { name: 'second', data, sources: [source('wrong'), source('cut'), source('gone'), source('good')] },
  ])
  await t.rejects(resolveModel('wrong'), { code: 'MODEL_DIGEST', message: /has SHA-256 \w{64}, expected \w{64}/ })
  await t.rejects(resolveModel('short'), { code: 'MODEL_UNAVAILABLE', message: /ended after 100000 of 300000 bytes/ })
  await t.rejects(resolveModel('cut'), { code: 'MODEL_UNAVAILABLE', message: /\/cut: / })
  await t.rejects(resolveModel('gone'), {
    code: 'MODEL_UNAVAILABLE',
    message: /\/gone: the server answered 404.*:1\/: .*(ECONNREFUSED|bad port).*no: ENOENT.*EDGE_INFER_MODELS/,
  })
  t.strictSame(await visible(store), [])
  const seen: number[] = []
  const { paths } = await resolveModel('second', { onProgress: ({ bytes }) => seen.push(bytes) })
  t.ok((await readFile(paths[0] as string)).equals(data))
  t.equal(seen.at(-1), data.length)
  t.strictSame(await visible(store), ['second.onnx'])
})

t.test('an aborted download leaves nothing behind; leftovers of dead processes go', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(100_000)
  const url = await serve(t, (request, response) => {
    if (request.url === '/good') return void response.end(data)
    response.writeHead(200, { 'content-length': data.length })
    response.write(data.subarray(0, 50_000))
  })
  await writeCatalog(root, [
    { name: 'slow', data, sources: [{ kind: 'https', url: `${url}/slow` }] },
    { name: 'good', data, sources: [{ kind: 'https', url: `${url}/good` }] },
  ])
  const controller = new AbortController()
  const abortOnceBytesCame = ({ bytes }: { bytes: number }): void => void (bytes > 0 && controller.abort())
  const aborted = resolveModel('slow', { signal: controller.signal, onProgress: abortOnceBytesCame })
  await t.rejects(aborted, { code: 'ABORTED' })
  t.strictSame(await visible(store), [])

  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  const dead = join(store, `.partial-${child.pid}-x-slow.onnx`)
  const young = join(store, `.partial-${child.pid}-y-slow.onnx`)
  const ours = join(store, `.partial-${process.pid}-z-slow.onnx`)
  for (const path of [dead, young, ours]) await writeFile(path, 'left')
  const longAgo = new Date(Date.now() - 3_600_000)
  for (const path of [dead, ours]) await utimes(path, longAgo, longAgo)
  await resolveModel('good')
  t.strictSame((await visible(store)).length, 3, 'the good model, the young leftover, and that of a live process')
  t.notOk((await visible(store)).some((name) => name.includes('-x-')))
})

t.test('processes that pull the same model at once both get it whole', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(400_000)
  const waiting: Array<() => void> = []
  const url = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-length': data.length })
    response.write(data.subarray(0, 200_000))
    waiting.push(() => response.end(data.subarray(200_000)))
    if (waiting.length === 2) for (const finish of waiting.splice(0)) finish()
  })
  await writeCatalog(root, [{ name: 'both', data, sources: [{ kind: 'https', url }] }])
  const pulls = [0, 1].map(() => finished(spawnCli(['models', 'pull', 'both'])))
  t.match(await Promise.all(pulls), [{ code: 0, stderr: '' }, { code: 0, stderr: '' }])
  t.ok((await readFile(join(store, 'both.onnx'))).equals(data))
  t.strictSame(await visible(store), ['both.onnx'])
})

t.test('a file comes through the proxy of the environment, and those that need none past it', async (t) => {
  const { root } = await useOwnEnvironment(t)
  const data = randomBytes(1000)
  const url = await serve(t, (_request, response) => void response.end(data))
  const through: string[] = []
  const proxy = createServer().on('connect', ({ url: target = '' }: IncomingMessage, socket: Socket) => {
    through.push(target)
    const [, port] = target.split(':')
    const upstream = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(upstream).pipe(socket)
    })
    upstream.on('close', () => socket.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => proxy.close())
  const named = url.replace('127.0.0.1', 'models.invalid')
  await writeCatalog(root, [
    { name: 'far', data, sources: [{ kind: 'https', url: named }] },
    { name: 'near', data, sources: [{ kind: 'https', url }] },
  ])
  const env = { http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, no_proxy: '127.0.0.1' }
  const pulled = await runCliWith({ env }, 'models', 'pull', 'far', 'near')
  t.match(pulled, { code: 0, stderr: '' })
  t.strictSame(through, [new URL(named).host])
})

t.test('an npm package is fetched with the configuration of the user, once for all its files', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const [one, two] = [randomBytes(200_000), randomBytes(3_000_000)]
  const pack = await makePackage(root, '@own/models@1.2.3', { 'one.onnx': one, 'two.onnx': two })
  const registry = await serveRegistry(t, pack, 'secret')
  const host = new URL(registry.url).host
  await writeFile(join(root, 'npmrc'), `@own:registry=${registry.url}/\n//${host}/:_authToken=\${OWN_TOKEN}\n`)
  process.env.OWN_TOKEN = 'secret'
  t.teardown(() => delete process.env.OWN_TOKEN)
  const source = (path: string) => ({ kind: 'npm', package: pack.spec, path })
  const packages = { [pack.spec]: { integrity: pack.integrity, bytes: pack.bytes } }
  await writeCatalog(root, [
    { name: 'one', data: one, sources: [source('model/one.onnx')] },
    { name: 'two', data: two, sources: [source('model/two.onnx')] },
    { name: 'three', data: two, sources: [source('model/three.onnx')] },
  ], packages)
  const pulled = await runCli('models', 'pull', 'one', 'two', 'three')
  t.match(pulled, { code: 1, stdout: /^one: fetched .*\ntwo: fetched .*\n$/ })
  t.match(pulled.stderr, /three\.onnx .* Tried npm package @own\/models@1\.2\.3: the package holds no model\/three/)
  t.ok((await readFile(join(store, 'one.onnx'))).equals(one))
  t.ok((await readFile(join(store, 'two.onnx'))).equals(two))
  t.equal(registry.requests.filter((path) => path.endsWith('.tgz')).length, 1, 'one download for all')
  t.strictSame(await visible(store), ['one.onnx', 'two.onnx'])

  process.env.npm_config_cache = join(root, 'another-npm-cache')
  process.env.EDGE_INFER_STORE = join(root, 'another-store')
  process.env.OWN_TOKEN = 'wrong'
  await t.rejects(resolveModel('one'), { code: 'MODEL_UNAVAILABLE', message: /@own\/models@1\.2\.3: .*401/ })
})

t.test('a package is fetched where the npm cache cannot be written, and nothing of it stays', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(200_000)
  const pack = await makePackage(root, 'models@1.0.0', { 'one.onnx': data })
  const registry = await serveRegistry(t, pack, 'secret')
  await writeFile(
    join(root, 'npmrc'), `registry=${registry.url}/\n//${new URL(registry.url).host}/:_authToken=secret\n`,
  )
  await writeFile(join(root, 'a-file'), '')
  process.env.npm_config_cache = join(root, 'a-file', 'npm-cache')
  await writeCatalog(root,
    [{ name: 'one', data, sources: [{ kind: 'npm', package: pack.spec, path: 'model/one.onnx' }] }],
    { [pack.spec]: { integrity: pack.integrity, bytes: pack.bytes } })
  const { paths: [path = ''] } = await resolveModel('one')
  t.ok((await readFile(path)).equals(data))
  t.strictSame(await visible(store), ['one.onnx'])
})

t.test('a package other than the pinned one is refused', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(50_000)
  const pinned = await makePackage(root, 'models@1.0.0', { 'one.onnx': data })
  const other = await makePackage(root, 'models@1.0.0', { 'one.onnx': data, 'more.onnx': data })
  const registry = await serveRegistry(t, { ...other, integrity: pinned.integrity }, 'secret')
  process.env.npm_config_registry = registry.url
  t.teardown(() => delete process.env.npm_config_registry)
  await writeFile(join(root, 'npmrc'), `//${new URL(registry.url).host}/:_authToken=secret\n`)
  await writeCatalog(root,
    [{ name: 'one', data, sources: [{ kind: 'npm', package: pinned.spec, path: 'model/one.onnx' }] }],
    { [pinned.spec]: { integrity: pinned.integrity, bytes: pinned.bytes } })
  await t.rejects(resolveModel('one'), { code: 'MODEL_DIGEST', message: /not the one that is pinned, sha512-/ })
  t.strictSame(await visible(store), [])
})

t.test('verify reads the files themselves', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(1000)
  await writeCatalog(root, [{ name: 'one', data, sources: [{ kind: 'file', path: 'one.onnx' }] }])
  await writeFile(join(root, 'one.onnx'), data)
  await resolveModel('one')
  t.match(await verifyModels(), [{ model: 'one', matches: true }])
  await writeFile(join(store, 'one.onnx'), randomBytes(1000))
  t.match(await verifyModels(), [{ model: 'one', matches: false }])
  t.strictSame((await resolveModel('one')).paths, [join(store, 'one.onnx')], 'a damaged file in the store is replaced')
  t.ok((await readFile(join(store, 'one.onnx'))).equals(data))
})
