/** Takes ONNX Runtime's library out of the npm package that carries it; set-up, `build` and packaging use this. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { EdgeInferError } from '../errors.js'
import { fetchFailure, fetchFromNpm, type CatalogFile } from '../models/index.js'
import {
  fetchedRuntimeDirectory, OWN_RUNTIME, RUNTIME_LIBRARY, RUNTIME_PACKAGE, type RuntimeArchitecture,
} from '../platform/runtime-library.js'

export interface FetchRuntimeOptions {
  directory?: string
  /** The npm package that carries it. */
  carrier?: { name: string; version: string; integrity: string; bytes: number }
  signal?: AbortSignal
}

/**
 * Path of the library for an architecture, which is fetched where `directory` has none yet. npm keeps the tarball,
 * 113 MB, in its cache; of what is in it only the library is unpacked, and has its name only once the whole tarball was
 * the one that is pinned.
 * @throws EdgeInferError RUNTIME_UNAVAILABLE: why it cannot be had, and what else will do; ABORTED.
 */
export async function fetchRuntime(
  architecture: RuntimeArchitecture,
  { directory = fetchedRuntimeDirectory(architecture), carrier = RUNTIME_PACKAGE, signal }: FetchRuntimeOptions = {},
): Promise<string> {
  const path = join(directory, RUNTIME_LIBRARY)
  if (await access(path).then(() => true, () => false)) return path
  const { name, version, integrity, bytes } = carrier
  const source = {
    kind: 'npm', package: `${name}@${version}`, path: `bin/napi-v6/linux/${architecture}/${RUNTIME_LIBRARY}`,
    integrity, packageBytes: bytes,
  } as const
  const file: CatalogFile = { name: RUNTIME_LIBRARY, sha256: undefined, bytes: undefined, sources: [source] }
  const outcome = await fetchFromNpm(source, [file], directory, () => {}, signal)
    .then((outcomes) => outcomes.get(file) as string | Error, (error: Error) => error)
  if (typeof outcome === 'string') return outcome
  if (signal?.aborted) throw new EdgeInferError('ABORTED', `Fetching ${source.package} was interrupted`)
  throw new EdgeInferError(
    'RUNTIME_UNAVAILABLE', `ONNX Runtime's library could not be fetched from npm's package ${source.package}: ` +
      `${fetchFailure(outcome)}. With network, run it again; or ${OWN_RUNTIME}`, { cause: outcome })
}
