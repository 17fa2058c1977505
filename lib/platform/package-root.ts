/** Where the files of this package lie. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { EdgeInferError } from '../errors.js'

/** This file, or the bundle it was put into; one in CommonJS has no `import.meta.url`. */
const here = (import.meta.url as string | undefined) ?? pathToFileURL(__filename).href

export const PACKAGE_ROOT = findPackageRoot()

/** Finds what is installed for this package, as its dependencies are. */
export const requireFrom = createRequire(join(PACKAGE_ROOT, 'package.json'))

/** A program that was bundled with this package uses the files of the one that is installed where the bundle lies. */
function findPackageRoot(): string {
  const own = fileURLToPath(new URL('../../..', here))
  if (nameIn(own) === 'edge-infer') return own
  try {
    return dirname(createRequire(here).resolve('edge-infer/package.json'))
  } catch (cause) {
    throw new EdgeInferError(
      'RUNTIME_UNAVAILABLE',
      `edge-infer is a part of the bundle ${fileURLToPath(here)}, and its addon and catalogue are not beside. ` +
        "Keep it out of the bundle (esbuild: external: ['edge-infer']) and install it with the program", { cause })
  }
}

function nameIn(directory: string): unknown {
  try {
    return (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: unknown }).name
  } catch {
    return undefined
  }
}
