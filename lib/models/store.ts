/** From a model's name or a path to files on this machine: search path, store, download. */
import { access, readdir, stat } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import { EdgeInferError } from '../errors.js'
import type { ModelFamily } from '../native.js'
import { findModel, findSample, loadCatalog } from './catalog.js'
import { computeDigest, digestOf } from './digest.js'
import { fetchFiles, type FetchOptions } from './fetch.js'
import { readMetadata, whyNoModel, type ModelMetadata } from './metadata.js'
import { searchPath, storeDirectory } from './paths.js'
import type { CatalogEntry, CatalogFile, FamilyDefaults } from './types.js'

export interface PullOptions extends FetchOptions {
  /** Fetch what is not on this machine; true unless said otherwise. */
  download?: boolean | undefined
}

export interface ResolveOptions extends PullOptions {
  /** What a file that the catalogue does not know is used for. */
  task?: string | undefined
  family?: ModelFamily | undefined
  /** Its family where nothing tells. */
  usualFamily?: ModelFamily | undefined
}

/** A model or a sample picture. */
export type Pullable = Pick<CatalogEntry, 'name' | 'files'> & { obtain?: string | undefined }

export interface ResolvedModel {
  entry: CatalogEntry
  /** Absolute paths of the entry's files, in its order. */
  paths: string[]
}

/** Where a file of the catalogue lies. */
export interface LocatedFile {
  path: string
  where: 'search path' | 'store'
}

export interface ListedModel {
  entry: CatalogEntry
  /** One for each file of the entry; undefined where it is not on this machine. */
  files: Array<LocatedFile | undefined>
}

export interface VerifiedFile {
  model: string
  path: string
  /** Undefined where the catalogue has no digest to compare with. */
  matches: boolean | undefined
  sha256: string
}

/** `nameOrPath`: a catalogue name (`yolov8n`), a weights name (`yolov5s.pt`) or the path of a model file. */
export async function resolveModel(nameOrPath: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  const own = await ownFile(nameOrPath)
  if (own !== undefined) return { entry: await describeOwn(own, options), paths: [own] }
  const entry = findModel(nameOrPath)
  if (entry === undefined) {
    if (await exists(nameOrPath)) await expectModelFile(nameOrPath)
    const known = loadCatalog().models.map(({ name }) => name).join(', ')
    const message = `"${nameOrPath}" is neither a file nor a model of the catalogue (${known})`
    throw new EdgeInferError('UNKNOWN_MODEL', message)
  }
  const paths = await resolveFiles(entry, options)
  // A file of a known digest is what the catalogue says.
  if (entry.files.every(({ sha256 }) => sha256 !== undefined)) return { entry, paths }
  const [metadata] = await Promise.all(paths.map(readMetadata))
  return { entry: metadata ? described(entry, paths[0] as string, metadata) : entry, paths }
}

/**
 * Brings many models to this machine, so that files of one package are downloaded once. Each answers with its paths,
 * or with why it could not be had.
 */
export async function pullModels(
  entries: readonly Pullable[], { download = true, ...options }: PullOptions = {},
): Promise<Array<{ paths: string[] } | { error: EdgeInferError }>> {
  const located = new Map<CatalogFile, string | EdgeInferError>()
  const missing: CatalogFile[] = []
  for (const entry of entries) {
    for (const file of entry.files) {
      const found = await locate(file).catch((error: EdgeInferError) => error)
      if (found !== undefined) located.set(file, found instanceof Error ? found : found.path)
      else if (download && file.sources.length > 0) missing.push(file)
      else located.set(file, notHere(entry, file))
    }
  }
  const fetched = await fetchFiles(missing, options)
  for (const [index, file] of missing.entries()) located.set(file, fetched[index] as string | EdgeInferError)
  return entries.map(({ files }) => {
    const paths = files.map((file) => located.get(file) as string | EdgeInferError)
    const error = paths.find((path) => typeof path !== 'string')
    return error === undefined ? { paths: paths as string[] } : { error }
  })
}

/** Path of a sample photograph. */
export async function resolveSample(name: string, options: PullOptions = {}): Promise<string> {
  const entry = findSample(name)
  if (entry === undefined) {
    const known = loadCatalog().samples.map((sample) => sample.name).join(', ')
    throw new EdgeInferError('UNKNOWN_MODEL', `There is no sample picture "${name}" (known: ${known})`)
  }
  const [path] = await resolveFiles(entry, options)
  return path as string
}

export async function listModels(): Promise<ListedModel[]> {
  return Promise.all(loadCatalog().models.map(async (entry) => ({
    entry,
    files: await Promise.all(entry.files.map((file) => locate(file).catch(() => undefined))),
  })))
}

/** Reads every file of the catalogue that this machine has, whatever is remembered of it. */
export async function verifyModels(): Promise<VerifiedFile[]> {
  const verified: VerifiedFile[] = []
  for (const entry of loadCatalog().models) {
    for (const file of entry.files) {
      for (const directory of [...searchPath(), storeDirectory()]) {
        const path = join(directory, file.name)
        if (!(await isFile(path))) continue
        const sha256 = await computeDigest(path)
        const matches = file.sha256 === undefined ? undefined : file.sha256 === sha256
        verified.push({ model: entry.name, path, matches, sha256 })
      }
    }
  }
  return verified
}

async function resolveFiles(entry: Pullable, options: PullOptions): Promise<string[]> {
  const [outcome] = await pullModels([entry], options)
  if (outcome === undefined || 'error' in outcome) throw outcome?.error as Error
  return outcome.paths
}

function notHere(entry: Pullable, file: CatalogFile): EdgeInferError {
  const places = [...searchPath(), storeDirectory()].join(', ')
  const remedy = entry.obtain ??
    `Run "edge-infer models pull ${entry.name}", or put the file in a directory and name that in EDGE_INFER_MODELS`
  return new EdgeInferError('MODEL_UNAVAILABLE', `${file.name} of ${entry.name} is not in ${places}. ${remedy}`)
}

/**
 * The file by its name, else by its digest. A file of the right name and another digest is not taken for the model;
 * one on the search path is an error, since its owner means it to be used.
 */
async function locate(file: CatalogFile): Promise<LocatedFile | undefined> {
  let impostor: string | undefined
  for (const directory of searchPath()) {
    const path = join(directory, file.name)
    if (await isFile(path)) {
      if (await isGenuine(path, file)) return { path, where: 'search path' }
      impostor ??= path
    }
    const renamed = await findByDigest(directory, file)
    if (renamed !== undefined) return { path: renamed, where: 'search path' }
  }
  const stored = join(storeDirectory(), file.name)
  if ((await isFile(stored)) && (await isGenuine(stored, file))) return { path: stored, where: 'store' }
  if (impostor === undefined) return undefined
  const advice = 'Give a model of your own another name, or describe it in a catalogue that EDGE_INFER_CATALOG names'
  const reason = extname(file.name) === '.onnx'
    ? await readMetadata(impostor).then(() => advice, (error: Error) => error.message) : advice
  throw new EdgeInferError(
    'MODEL_DIGEST', `${impostor} has SHA-256 ${await digestOf(impostor)}, expected ${file.sha256}. ${reason}`)
}

async function isGenuine(path: string, file: CatalogFile): Promise<boolean> {
  return file.sha256 === undefined || (await digestOf(path)) === file.sha256
}

async function findByDigest(directory: string, file: CatalogFile): Promise<string | undefined> {
  if (file.sha256 === undefined || file.bytes === undefined) return undefined
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile() && found.size === file.bytes && (await digestOf(path)) === file.sha256) return path
  }
  return undefined
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isFile(), () => false)
}

/** Absolute path when `nameOrPath` means a file rather than a name. */
async function ownFile(nameOrPath: string): Promise<string | undefined> {
  const path = resolve(nameOrPath)
  if (!nameOrPath.includes('/')) {
    return extname(nameOrPath) === '.onnx' && (await exists(path)) ? expectModelFile(nameOrPath) : undefined
  }
  return expectModelFile(nameOrPath)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false)
}

/** Its absolute path. @throws EdgeInferError UNKNOWN_MODEL for what is not there or cannot be a model. */
async function expectModelFile(nameOrPath: string): Promise<string> {
  const path = resolve(nameOrPath)
  const problem = await whyNoModel(path)
  if (problem === undefined) return path
  throw new EdgeInferError('UNKNOWN_MODEL', `"${nameOrPath}" cannot be used as a model: ${problem}`)
}

/** The catalogue's entry for a file it knows by digest; else its family's defaults, and what the file says. */
async function describeOwn(path: string, { task, family, usualFamily }: ResolveOptions): Promise<CatalogEntry> {
  const { size } = await stat(path)
  for (const entry of loadCatalog().models) {
    const [file] = entry.files
    if (entry.files.length === 1 && file?.bytes === size && (await digestOf(path)) === file.sha256) return entry
  }
  const metadata = await readMetadata(path)
  const made = metadata.model === undefined ? undefined : findModel(metadata.model)
  const file = { name: basename(path), sha256: undefined, bytes: size, sources: [] }
  if (made !== undefined) return { ...made, name: basename(path, '.onnx'), default: false, files: [file] }
  const used = family ?? known(metadata.family) ?? familyOf(basename(path)) ?? usualFamily
  if (used === undefined) {
    const message = `Which family is ${path} of? Its name does not tell; expected one of ${familyNames().join(', ')}`
    throw new EdgeInferError('BAD_OPTION', message)
  }
  return described({
    name: basename(path, '.onnx'),
    task: task ?? taskOf(used, path),
    family: used,
    default: false,
    licence: { id: 'unknown', note: undefined },
    obtain: undefined,
    input: undefined,
    labels: [],
    ...(loadCatalog().families[used] as FamilyDefaults),
    files: [file],
  }, path, metadata)
}

/** What exports of Ultralytics can be for, beside boxes. */
const OTHER_TASKS: Readonly<Record<string, string>> = {
  classify: 'names for whole pictures', obb: 'turned boxes', pose: 'keypoints', segment: 'masks',
}

/**
 * The entry, with what the file says where the entry does not.
 * @throws EdgeInferError MODEL_LOAD for a file that says it is for something else.
 */
function described(entry: CatalogEntry, path: string, { task, names, imageSize }: ModelMetadata): CatalogEntry {
  const other = OTHER_TASKS[task ?? '']
  if (other !== undefined) {
    throw new EdgeInferError('MODEL_LOAD', `Expected a model of the family ${entry.family} but ${path} ` +
      `answers ${other}: its metadata say task=${task}`)
  }
  return { ...entry, input: entry.input ?? imageSize, labels: entry.labels.length > 0 ? entry.labels : names ?? [] }
}

/** Those that the catalogue has defaults for. */
function familyNames(): ModelFamily[] {
  return Object.keys(loadCatalog().families)
}

function known(family: ModelFamily | undefined): ModelFamily | undefined {
  return familyNames().find((name) => name === family)
}

function familyOf(name: string): ModelFamily | undefined {
  const start = name.toLowerCase()
  return familyNames().find((family) => start.startsWith(family))
}

/** What the catalogue's models of that family are used for. */
function taskOf(family: ModelFamily, path: string): string {
  const like = loadCatalog().models.find((entry) => entry.family === family)
  if (like) return like.task
  throw new EdgeInferError(
    'BAD_OPTION', `Which task is ${path} for? The catalogue has no model of its family, ${family}`,
  )
}
