import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fetchRuntime, type FetchRuntimeOptions } from '../../lib/cli/fetch-runtime.js'
import { fetchedRuntimeDirectory, RUNTIME_LIBRARY, RUNTIME_PACKAGE } from '../../lib/platform/runtime-library.js'
import { finished, type CliResult } from './run.js'
import { makePackage, serve, serveRegistry, useOwnEnvironment, type FakePackage } from '../models/helpers.js'

const ROOT = new URL('../../..', import.meta.url).pathname
const SPEC = `${RUNTIME_PACKAGE.name}@${RUNTIME_PACKAGE.version}`
const FETCHED = join(fetchedRuntimeDirectory(), RUNTIME_LIBRARY)
const isFetched = existsSync(FETCHED)
const WAY_OUT = /EDGE_INFER_ORT_LIBRARY.*Debian package.*https:.*releases/

/** As much of the real package as matters: a library for each architecture, and what is not for Linux. */
async function makeRuntimePackage(root: string): Promise<{ pack: FakePackage; libraries: Record<string, Buffer> }> {
  const libraries = { x64: randomBytes(2_000_000), arm64: randomBytes(1_500_000) }
  const pack = await makePackage(root, SPEC, {
    'napi-v6/darwin/arm64/libonnxruntime.1.dylib': randomBytes(500_000),
    ...Object.fromEntries(
      Object.entries(libraries).map(([name, data]) => [`napi-v6/linux/${name}/${RUNTIME_LIBRARY}`, data])),
  }, 'bin')
  return { pack, libraries }
}

const carrierOf = ({ integrity, bytes }: FakePackage): NonNullable<FetchRuntimeOptions['carrier']> =>
  ({ name: RUNTIME_PACKAGE.name, version: RUNTIME_PACKAGE.version, integrity, bytes })

/** Without the hooks of tap, which cannot load a program without a file name extension. */
function runScript(...args: string[]): Promise<CliResult> {
  const program = ['-u', 'NODE_OPTIONS', process.execPath, join(ROOT, 'bin/fetch-runtime'), ...args]
  return finished(spawn('env', program, { stdio: ['ignore', 'pipe', 'pipe'] }))
}

function useRegistry(t: Test, url: string): void {
  process.env.npm_config_registry = url
  t.teardown(() => delete process.env.npm_config_registry)
}

t.test('the library of each architecture is taken out of the tarball, once; then no network is needed', async (t) => {
  const { root } = await useOwnEnvironment(t)
  const { pack, libraries } = await makeRuntimePackage(root)
  const registry = await serveRegistry(t, pack, 'secret')
  useRegistry(t, registry.url)
  await writeFile(join(root, 'npmrc'), `//${new URL(registry.url).host}/:_authToken=secret\n`)
  const carrier = carrierOf(pack)
  for (const architecture of ['x64', 'arm64'] as const) {
    const directory = join(root, `linux-${architecture}`)
    // Two at once, as two set-ups of one machine would.
    const paths = await Promise.all([1, 2].map(() => fetchRuntime(architecture, { directory, carrier })))
    t.strictSame(paths, [1, 2].map(() => join(directory, RUNTIME_LIBRARY)))
    t.strictSame(await readdir(directory), [RUNTIME_LIBRARY], 'nothing else of the tarball, and nothing half')
    t.ok((await readFile(join(directory, RUNTIME_LIBRARY))).equals(libraries[architecture] as Buffer))
  }
  const before = registry.requests.length
  process.env.npm_config_registry = 'http://127.0.0.1:1'
  const directory = join(root, 'linux-x64')
  t.equal(await fetchRuntime('x64', { directory, carrier }), join(directory, RUNTIME_LIBRARY))
  t.equal(registry.requests.length, before)
})

t.test('what is no such tarball leaves nothing, and the error says what to do', async (t) => {
  const { root } = await useOwnEnvironment(t)
  const { pack } = await makeRuntimePackage(root)
  const directory = join(root, 'library')
  const refused = async (tarball: Buffer, why: RegExp, message: string): Promise<void> => {
    const registry = await serveRegistry(t, { ...pack, tarball }, 'secret')
    process.env.npm_config_registry = registry.url
    process.env.npm_config_cache = join(root, `npm-cache-${randomBytes(4).toString('hex')}`)
    await writeFile(join(root, 'npmrc'), `//${new URL(registry.url).host}/:_authToken=secret\n`)
    const fetched = fetchRuntime('x64', { directory, carrier: carrierOf(pack) })
    const error = await fetched.then(() => ({}), (thrown: unknown) => thrown)
    t.match(error, { code: 'RUNTIME_UNAVAILABLE', message: why }, message)
    t.match(error, { message: WAY_OUT })
    t.strictSame((await readdir(directory).catch(() => [])), [], `${message}: nothing stays`)
  }
  useRegistry(t, '')
  const changed = Buffer.from(pack.tarball)
  changed.writeUInt8((changed.readUInt8(changed.length - 20) + 1) % 256, changed.length - 20)
  await refused(changed, new RegExp(`${SPEC}: .`), 'one byte is another')
  await refused((await makeRuntimePackage(root)).pack.tarball, /the one that is pinned, sha512-/, 'another tarball')
  await refused(pack.tarball.subarray(0, pack.tarball.length / 2), new RegExp(`${SPEC}: .`), 'half of it')
  const empty = await makePackage(root, SPEC, { 'x64.so': randomBytes(1000) }, 'elsewhere')
  await t.rejects(async () => {
    const registry = await serveRegistry(t, empty, 'secret')
    process.env.npm_config_registry = registry.url
    await writeFile(join(root, 'npmrc'), `//${new URL(registry.url).host}/:_authToken=secret\n`)
    await fetchRuntime('arm64', { directory, carrier: carrierOf(empty) })
  }, { code: 'RUNTIME_UNAVAILABLE', message: /the package holds no bin\/napi-v6\/linux\/arm64\/libonnxruntime\.so\.1/ })
  process.env.npm_config_registry = 'http://127.0.0.1:1'
  process.env.npm_config_cache = join(root, 'empty-cache')
  await t.rejects(fetchRuntime('x64', { directory }), {
    code: 'RUNTIME_UNAVAILABLE', message: /ECONNREFUSED.*With network/s,
  })
})

t.test('a registry that stands still can be left', async (t) => {
  const { root } = await useOwnEnvironment(t)
  const { pack } = await makeRuntimePackage(root)
  const controller = new AbortController()
  const url = await serve(t, (request, response) => {
    if (!request.url?.endsWith('.tgz')) {
      const { name, version } = RUNTIME_PACKAGE
      const dist = { tarball: `${url}/package.tgz`, integrity: pack.integrity }
      response.setHeader('content-type', 'application/json')
      return void response.end(JSON.stringify({
        name, 'dist-tags': { latest: version }, versions: { [version]: { name, version, dist } },
      }))
    }
    response.writeHead(200, { 'content-length': pack.tarball.length })
    response.write(pack.tarball.subarray(0, 100_000), () => controller.abort())
  })
  useRegistry(t, url)
  const directory = join(root, 'library')
  const fetched = fetchRuntime('x64', { directory, carrier: carrierOf(pack), signal: controller.signal })
  await t.rejects(fetched, { code: 'ABORTED' })
  t.strictSame(await readdir(directory).catch(() => []), [])
})

t.test('bin/fetch-runtime says what is missing, and refuses what it does not know', async (t) => {
  t.match(await runScript('--check'), { code: isFetched ? 0 : 1, stdout: '' })
  t.match(await runScript('mips'), { code: 1, stderr: /Expected an architecture, x64 or arm64, but received mips/ })
})

t.test('bin/fetch-runtime --into gives a copy with its licences', {
  skip: isFetched ? false : 'EDGE_INFER_ORT_LIBRARY was named at set-up, so that none was fetched',
}, async (t) => {
  const directory = t.testdir()
  const copy = join(directory, RUNTIME_LIBRARY)
  t.match(await runScript('--into', directory), { code: 0, stdout: `${copy}\n` })
  t.ok((await readFile(copy)).equals(await readFile(FETCHED)))
  t.match(await readFile(join(directory, 'licenses/onnxruntime/LICENSE'), 'utf8'), /MIT License[^]*Microsoft/)
})
