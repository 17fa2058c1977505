/** Where model files lie: the user's search path, then the store. */
import { homedir, tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

/** Directories of `EDGE_INFER_MODELS`, in order. */
export function searchPath(): string[] {
  return (process.env.EDGE_INFER_MODELS ?? '').split(delimiter).filter(Boolean).map((directory) => resolve(directory))
}

/** `EDGE_INFER_STORE`, else `edge-infer/models` in the user's cache directory. */
export function storeDirectory(): string {
  const own = process.env.EDGE_INFER_STORE
  if (own) return resolve(own)
  return join(cacheDirectory(), 'models')
}

/** `edge-infer` in the user's cache directory. */
export function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(home(), '.cache'), 'edge-infer')
}

/** An account without a home directory has the one for temporary files. */
export function home(): string {
  try {
    return homedir() || tmpdir()
  } catch {
    return tmpdir()
  }
}
