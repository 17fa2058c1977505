/** The catalogue of known models and sample pictures: `models/catalog.json`, validated and typed. */
import { readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { EdgeInferError } from '../errors.js'
import { PACKAGE_ROOT } from '../platform/package-root.js'
import { parseCatalog } from './schema.js'
import type { Catalog, CatalogEntry, SampleEntry } from './types.js'

const BUILT_IN = join(PACKAGE_ROOT, 'models', 'catalog.json')

let cached: { path: string | undefined; catalog: Catalog } | undefined

/** The built-in catalogue, with the entries of the file that `EDGE_INFER_CATALOG` names before its own. */
export function loadCatalog(): Catalog {
  const path = process.env.EDGE_INFER_CATALOG || undefined
  if (cached === undefined || cached.path !== path) {
    const builtIn = readCatalog(BUILT_IN)
    cached = { path, catalog: path === undefined ? builtIn : merged(readCatalog(resolve(path), builtIn), builtIn) }
  }
  return cached.catalog
}

/** Reads one catalogue file. `base` gives the families and label sets that the file leaves out. */
export function readCatalog(path: string, base?: Catalog): Catalog {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `The catalogue ${path} cannot be read: ${(cause as Error).message}`
    throw new EdgeInferError('BAD_OPTION', message, { cause })
  }
  return parseCatalog(text, path, dirname(path), base)
}

/** The entry of that name, alias of a weights file (`yolov5s.pt`) or catalogue file name; undefined when unknown. */
export function findModel(name: string, catalog = loadCatalog()): CatalogEntry | undefined {
  const stem = name.replace(/\.(pt|onnx)$/i, '')
  return (
    catalog.models.find((entry) => entry.name === stem) ??
    catalog.models.find((entry) => entry.files.some((file) => file.name === basename(name)))
  )
}

export function findSample(name: string, catalog = loadCatalog()): SampleEntry | undefined {
  return catalog.samples.find((entry) => entry.name === name)
}

/** The user's entries replace built-in ones of the same name. */
function merged(own: Catalog, builtIn: Catalog): Catalog {
  const kept = builtIn.models.filter((entry) => !own.models.some((other) => other.name === entry.name))
  const samples = builtIn.samples.filter((entry) => !own.samples.some((other) => other.name === entry.name))
  return { ...own, models: [...own.models, ...kept], samples: [...own.samples, ...samples] }
}
