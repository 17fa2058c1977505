/** Brings files of the catalogue into the store from the first of their sources that gives them. */
import { createReadStream } from 'node:fs'
import { access, constants, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EdgeInferError, type ErrorCode } from '../errors.js'
import { AtomicFile } from './atomic-file.js'
import { storeDirectory } from './paths.js'
import type { NpmSource } from './fetch-npm.js'
import type { CatalogFile, FileSource } from './types.js'

export interface FetchProgress {
  /** Names of the files that are on the way. */
  files: readonly string[]
  source: string
  bytes: number
  total: number | undefined
}

export interface FetchOptions {
  onProgress?: ((progress: FetchProgress) => void) | undefined
  signal?: AbortSignal | undefined
}

interface Pending {
  file: CatalogFile
  untried: FileSource[]
  failures: Array<{ source: string; error: Error }>
}

/**
 * What became of each file, in the order of `files`: its path, or why it could not be had. A package that carries
 * several of them is downloaded once. Rejects only when `signal` stops it.
 */
export async function fetchFiles(
  files: readonly CatalogFile[], options: FetchOptions = {},
): Promise<Array<string | EdgeInferError>> {
  const unwritable = files.length > 0 ? await whyUnwritable(storeDirectory()) : undefined
  if (unwritable) return files.map((file) => unavailable(file, unwritable))
  const results = new Map<CatalogFile, string | EdgeInferError>()
  const pending = files.map((file): Pending => ({ file, untried: [...file.sources], failures: [] }))
  for (let next = pending[0]; next !== undefined; next = pending.find(({ file }) => !results.has(file))) {
    const source = next.untried[0]
    if (source === undefined) {
      results.set(next.file, givenUp(next))
      continue
    }
    const batch = pending.filter(({ file, untried }) => !results.has(file) && sameDownload(untried[0], source))
    const outcomes = await fetchFrom(source, batch.map(({ file }) => file), options).catch((error: Error) => error)
    if (options.signal?.aborted) throw aborted(batch)
    for (const { file, untried, failures } of batch) {
      const outcome = outcomes instanceof Error ? outcomes : (outcomes.get(file) as string | Error)
      if (typeof outcome === 'string') results.set(file, outcome)
      else failures.push({ source: describeSource(untried.shift() ?? source), error: outcome })
    }
  }
  return files.map((file) => results.get(file) as string | EdgeInferError)
}

export function describeSource(source: FileSource): string {
  if (source.kind === 'npm') return `npm package ${source.package}`
  return source.kind === 'https' ? source.url : source.path
}

function sameDownload(one: FileSource | undefined, other: FileSource): boolean {
  return one === other || (one?.kind === 'npm' && other.kind === 'npm' && one.package === other.package)
}

/** The fetchers are loaded only when they are needed: most runs find every file on the machine. */
async function fetchFrom(
  source: FileSource, files: readonly CatalogFile[], options: FetchOptions,
): Promise<Map<CatalogFile, string | Error>> {
  const [file] = files as [CatalogFile]
  const report = (bytes: number, total: number | undefined): void => options.onProgress?.(
    { files: files.map(({ name }) => name), source: describeSource(source), bytes, total })
  if (source.kind === 'npm') return fetchFromNpm(source, files, storeDirectory(), report, options.signal)
  if (source.kind === 'https') {
    const { fetchFromUrl } = await import('./fetch-https.js')
    return new Map([[file, await fetchFromUrl(source.url, file, storeDirectory(), report, options.signal)]])
  }
  return new Map([[file, await copyFrom(source.path, file)]])
}

/** Each file's path in `directory`, or why it has none. */
export async function fetchFromNpm(
  source: NpmSource,
  files: readonly CatalogFile[],
  directory: string,
  onProgress: (bytes: number, total: number | undefined) => void,
  signal: AbortSignal | undefined,
): Promise<Map<CatalogFile, string | Error>> {
  const { fetchFromPackage } = await import('./fetch-npm.js')
  return fetchFromPackage(source, files, directory, onProgress, signal)
}

async function copyFrom(path: string, file: CatalogFile): Promise<string> {
  const found = await stat(path)
  const sink = await AtomicFile.create(storeDirectory(), file)
  try {
    await sink.write(createReadStream(found.isDirectory() ? join(path, file.name) : path))
  } catch (error) {
    await sink.discard()
    throw error
  }
  return sink.commit()
}

function aborted(batch: readonly Pending[]): EdgeInferError {
  return new EdgeInferError('ABORTED', `Fetching ${batch.map(({ file }) => file.name).join(', ')} was interrupted`)
}

/** Asked before anything is downloaded. */
async function whyUnwritable(store: string): Promise<string | undefined> {
  try {
    await mkdir(store, { recursive: true })
    await access(store, constants.W_OK)
    return undefined
  } catch (error) {
    return `The store ${store} cannot be written: ${(error as Error).message}. ` +
      'Name a directory that can be written in EDGE_INFER_STORE'
  }
}

function givenUp({ file, failures }: Pending): EdgeInferError {
  const wrongDigest = failures.some(({ error }) => error instanceof EdgeInferError && error.code === 'MODEL_DIGEST')
  const tried = failures.map(({ source, error }) => `${source}: ${reason(error)}`)
  return unavailable(
    file, tried.length > 0 ? `Tried ${tried.join('; ')}` : 'It has no source',
    wrongDigest ? 'MODEL_DIGEST' : 'MODEL_UNAVAILABLE', { cause: failures.at(-1)?.error, tried },
  )
}

function unavailable(
  file: CatalogFile, why: string, code: ErrorCode = 'MODEL_UNAVAILABLE',
  { cause, tried = [] }: { cause?: Error | undefined; tried?: string[] } = {},
): EdgeInferError {
  const digest = file.sha256 === undefined ? '' : ` (SHA-256 ${file.sha256})`
  return new EdgeInferError(
    code,
    `${file.name} could not be fetched. ${why}. ` +
      `Without network, put the file${digest} in a directory and name that in EDGE_INFER_MODELS`,
    { cause, details: { file: file.name, tried } },
  )
}

/** The innermost cause of a foreign error says most: undici's own message is only "fetch failed". */
export function reason(error: Error): string {
  if (error instanceof EdgeInferError) return error.message
  if (error.cause instanceof Error) return reason(error.cause)
  const { code } = error as NodeJS.ErrnoException
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`.trim()
}
