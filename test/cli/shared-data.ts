import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Pictures, videos and models that lie beside the repository where it is developed; undefined elsewhere. */
export function sharedData(): string | undefined {
  const directory = join(fileURLToPath(new URL('../../../', import.meta.url)), '..', 'shared', 'data')
  return existsSync(directory) ? directory : undefined
}
