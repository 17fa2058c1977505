import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { create } from 'tar'
import type { Test } from 'tap'

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

/** An own store, search path, npm cache and user configuration, so that nothing of the user's is read or written. */
export async function useOwnEnvironment(t: Test): Promise<{ root: string; store: string }> {
  const root = t.testdir()
  const store = join(root, 'store')
  const npmrc = join(root, 'npmrc')
  await writeFile(npmrc, '')
  const environment: Record<string, string> = {
    EDGE_INFER_STORE: store,
    EDGE_INFER_MODELS: '',
    EDGE_INFER_CATALOG: join(root, 'catalog.json'),
    npm_config_cache: join(root, 'npm-cache'),
    npm_config_userconfig: npmrc,
    npm_config_fetch_retries: '0',
  }
  const before = Object.fromEntries(Object.keys(environment).map((name) => [name, process.env[name]]))
  Object.assign(process.env, environment)
  t.teardown(() => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  return { root, store }
}

export interface FixtureModel {
  name: string
  data: Buffer
  sources: unknown[]
  /** Of the first file; the true one unless given. */
  sha256?: string
}

/** Writes the catalogue that {@link useOwnEnvironment} named. */
export async function writeCatalog(
  root: string, models: readonly FixtureModel[], packages: Record<string, unknown> = {},
): Promise<void> {
  const entries = models.map(({ name, data, sources, sha256: digest }) => ({
    name,
    task: 'car_detection',
    family: 'yolov8',
    licence: { id: 'MIT' },
    input: { name: 'images', width: 640, height: 640 },
    labelSet: 'coco80',
    files: [{ name: `${name}.onnx`, sha256: digest ?? sha256(data), bytes: data.length, sources }],
  }))
  await writeFile(join(root, 'catalog.json'), JSON.stringify({ packages, models: entries }))
}

/** A server on the loopback interface for the length of the test. Gives its URL without a trailing slash. */
export async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export interface FakePackage {
  spec: string
  integrity: string
  bytes: number
  tarball: Buffer
}

/** A real npm tarball that holds `files` below a folder, and something large before them. */
export async function makePackage(
  root: string, spec: string, files: Record<string, Buffer>, folder = 'model',
): Promise<FakePackage> {
  const source = join(root, 'package-source')
  await mkdir(join(source, folder), { recursive: true })
  await writeFile(join(source, 'package.json'), '{}')
  await writeFile(join(source, 'ballast.bin'), randomBytes(1 << 20))
  for (const [name, data] of Object.entries(files)) {
    await mkdir(dirname(join(source, folder, name)), { recursive: true })
    await writeFile(join(source, folder, name), data)
  }
  const chunks: Buffer[] = []
  const packed = create({ gzip: true, cwd: source, prefix: 'package' }, ['package.json', 'ballast.bin', folder])
  for await (const chunk of packed) chunks.push(chunk)
  const tarball = Buffer.concat(chunks)
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  return { spec, integrity, bytes: tarball.length, tarball }
}

export interface Registry {
  url: string
  /** Paths of the requests that were answered. */
  requests: string[]
}

/** As much of an npm registry as an exact version needs; closed to those without the token. */
export async function serveRegistry(
  t: Test, { spec, integrity, tarball }: FakePackage, token: string,
): Promise<Registry> {
  const at = spec.lastIndexOf('@')
  const [name, version] = [spec.slice(0, at), spec.slice(at + 1)]
  const requests: string[] = []
  const url = await serve(t, (request, response) => {
    if (request.headers.authorization !== `Bearer ${token}`) return void response.writeHead(401).end()
    requests.push(request.url ?? '')
    if (request.url?.endsWith('.tgz')) return void response.end(tarball)
    const dist = { tarball: `${url}/package.tgz`, integrity }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({
      name, 'dist-tags': { latest: version }, versions: { [version]: { name, version, dist } },
    }))
  })
  return { url, requests }
}
