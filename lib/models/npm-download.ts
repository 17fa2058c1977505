/** Packages by the user's own npm: the registries, credentials, proxies, certificates and cache it knows count. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { access, constants, mkdir, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { nodeEnvironment } from '../platform/node-environment.js'
import { home } from './paths.js'

const run = promisify(execFile)

/** Between two looks at how much has come. */
const WATCH_INTERVAL_MS = 200

export interface Download {
  /** With its exact version. */
  package: string
  integrity: string
  /** A cache of ours, where npm's own cannot be written, as under a service account without a home. */
  spareCache: string
  onBytes(bytes: number): void
  signal: AbortSignal | undefined
}

/** The package that came is not the one that was asked for. */
export class PackageMismatch extends Error {}

/** Path of the tarball in npm's cache, named by the pinned integrity; what it holds is to be checked. */
export async function downloadPackage(download: Download): Promise<string> {
  const { package: spec, integrity, spareCache, onBytes, signal } = download
  const cache = await usableCache(spareCache, signal)
  const stopWatching = watchDownload(join(cache, '_cacache', 'tmp'), onBytes)
  try {
    // Unlike `npm pack`, it does not hold the tarball in memory. A version's description never changes.
    await npm(['cache', 'add', spec, '--cache', cache, '--prefer-offline', '--json', '--loglevel=silent'], signal)
  } catch (error) {
    throw explain(error as Failure)
  } finally {
    stopWatching()
  }
  const tarball = contentPath(cache, integrity)
  if (!existsSync(tarball)) throw new PackageMismatch()
  return tarball
}

/** Where npm's cache keeps content of that integrity. */
function contentPath(cache: string, integrity: string): string {
  const [algorithm = '', digest = ''] = integrity.split('-')
  const hex = Buffer.from(digest, 'base64').toString('hex')
  return join(cache, '_cacache', 'content-v2', algorithm, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4))
}

async function usableCache(spare: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    const own = (await npm(['config', 'get', 'cache'], signal)).trim()
    await mkdir(join(own, '_cacache'), { recursive: true })
    await access(join(own, '_cacache'), constants.W_OK)
    return own
  } catch {
    signal?.throwIfAborted()
    return spare
  }
}

/** npm says nothing while it downloads; the file that grows is the tarball. Returns what ends it. */
function watchDownload(directory: string, onBytes: (bytes: number) => void): () => void {
  const begin = Date.now()
  const timer = setInterval(() => void look(), WATCH_INTERVAL_MS)
  let most = 0
  async function look(): Promise<void> {
    for (const name of await readdir(directory).catch(() => [])) {
      const file = await stat(join(directory, name)).catch(() => undefined)
      if (file && file.mtimeMs >= begin) most = Math.max(most, file.size)
    }
    if (timer.hasRef() && most > 0) onBytes(most)
  }
  return () => clearInterval(timer.unref())
}

async function npm(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const script = npmScript()
  const [command, first] = script === undefined ? ['npm', []] : [process.execPath, [script]]
  // npm asks for a home directory as it starts.
  const env = { ...nodeEnvironment(), HOME: home() }
  const { stdout } = await run(command, [...first, ...args], { maxBuffer: 1 << 24, signal, env })
  return stdout
}

/** The npm that started this program, else the one that came with this Node.js; else there may be one on the path. */
function npmScript(): string | undefined {
  const started = process.env.npm_execpath ?? ''
  const bundled = join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js')
  return [started, bundled].find((path) => basename(path) === 'npm-cli.js' && existsSync(path))
}

interface Failure extends Error {
  code?: unknown
  stdout?: string
}

/** npm's own account of what went wrong. */
function explain(failure: Failure): Error {
  if (failure.code === 'ENOENT') return new Error('npm fetches it, and is not on the PATH')
  try {
    const { code, summary } = (JSON.parse(failure.stdout ?? '') as { error: Record<string, unknown> }).error
    if (code === 'EINTEGRITY') return new PackageMismatch()
    const text = String(summary).trim()
    return new Error(typeof code !== 'string' || text.includes(code) ? text : `${text} (${code})`)
  } catch {
    return failure
  }
}
