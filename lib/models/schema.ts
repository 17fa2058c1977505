/** Turns the text of a catalogue into typed entries; a broken one is refused with the place and what was expected. */
import { resolve } from 'node:path'
import { EdgeInferError } from '../errors.js'
import type { ModelFamily, Preprocessing } from '../native.js'
import {
  type Catalog, type CatalogEntry, type CatalogFile, type FamilyDefaults, type FileSource, type Licence,
  type SampleEntry, type Thresholds,
} from './types.js'

const RESIZE_MODES = ['stretch', 'letterbox-center', 'letterbox-top-left'] as const
const CHANNEL_ORDERS = ['rgb', 'bgr'] as const

/** A JSON value and its place in the file, such as `models[3].input.width`. */
class Node {
  constructor(private readonly value: unknown, private readonly place: string, private readonly file: string) {}

  fail(expected: string): never {
    const received = this.value === undefined ? 'nothing' : JSON.stringify(this.value)
    const shown = received.length > 80 ? `${received.slice(0, 77)}...` : received
    const place = this.place || 'its top level'
    throw new EdgeInferError(
      'BAD_OPTION', `The catalogue ${this.file} is broken at ${place}: expected ${expected}, received ${shown}`)
  }

  get absent(): boolean {
    return this.value === undefined
  }

  /** The fields of an object that has no others than `known`. */
  fields<K extends string>(...known: readonly K[]): Record<K, Node> {
    const object = this.object()
    for (const key of Object.keys(object)) {
      if (!(known as readonly string[]).includes(key)) this.at(key).fail(`no such field (known: ${known.join(', ')})`)
    }
    return Object.fromEntries(known.map((key) => [key, this.at(key)])) as Record<K, Node>
  }

  entries(): Array<[string, Node]> {
    return Object.keys(this.object()).map((key) => [key, this.at(key)])
  }

  list(): Node[] {
    if (!Array.isArray(this.value)) return this.fail('a list')
    return this.value.map((item, index) => new Node(item, `${this.place}[${index}]`, this.file))
  }

  string(expected = 'a non-empty string', pattern = /./): string {
    return typeof this.value === 'string' && pattern.test(this.value) ? this.value : this.fail(expected)
  }

  number(expected: string, accepted: (value: number) => boolean): number {
    return typeof this.value === 'number' && accepted(this.value) ? this.value : this.fail(expected)
  }

  fraction(): number {
    return this.number('a number from 0 to 1', (value) => value >= 0 && value <= 1)
  }

  positiveInteger(): number {
    return this.number('an integer above 0', (value) => Number.isInteger(value) && value > 0)
  }

  boolean(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.fail('true or false')
  }

  oneOf<T extends string>(values: readonly T[]): T {
    const found = values.find((value) => value === this.value)
    return found ?? this.fail(`one of ${values.join(', ')}`)
  }

  optional<T>(read: (node: Node) => T): T | undefined {
    return this.absent ? undefined : read(this)
  }

  private object(): Record<string, unknown> {
    return typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value)
      ? (this.value as Record<string, unknown>)
      : this.fail('an object')
  }

  private at(key: string): Node {
    const value = Object.hasOwn(this.object(), key) ? this.object()[key] : undefined
    return new Node(value, this.place ? `${this.place}.${key}` : key, this.file)
  }
}

interface Context {
  directory: string
  packages: Map<string, { integrity: string; bytes: number }>
  labelSets: Map<string, readonly string[]>
  families: Record<ModelFamily, FamilyDefaults>
}

/** `directory` is what relative paths of `file` sources start from; `base` gives families left out. */
export function parseCatalog(text: string, file: string, directory: string, base?: Catalog): Catalog {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    const message = `The catalogue ${file} is not JSON: ${(cause as Error).message}`
    throw new EdgeInferError('BAD_OPTION', message, { cause })
  }
  const root = new Node(json, '', file).fields('families', 'labelSets', 'packages', 'models', 'samples')
  const labelSets = (root.labelSets.optional((node) => node.entries()) ?? []).map(([name, labels]) =>
    [name, labels.list().map((label) => label.string())] as const)
  const packages = (root.packages.optional((node) => node.entries()) ?? []).map(([name, node]) => {
    const { integrity, bytes } = node.fields('integrity', 'bytes')
    return [name, {
      integrity: integrity.string('an sha512-… integrity', /^sha512-[A-Za-z0-9+/]{86}==$/),
      bytes: bytes.positiveInteger(),
    }] as const
  })
  const context: Context = {
    directory,
    packages: new Map(packages),
    labelSets: new Map([...(base?.labelSets ?? []), ...labelSets]),
    families: readFamilies(root.families, base),
  }
  const models = (root.models.optional((node) => node.list()) ?? []).map((node) => readModel(node, context))
  const samples = (root.samples.optional((node) => node.list()) ?? []).map((node) => readSample(node, context))
  refuseRepeated(models, root.models)
  refuseRepeated(samples, root.samples)
  return { path: file, families: context.families, labelSets: context.labelSets, models, samples }
}

function refuseRepeated(entries: readonly { name: string }[], list: Node): void {
  const repeated = entries.find((entry, index) => entries.findIndex((other) => other.name === entry.name) !== index)
  if (repeated !== undefined) list.fail(`names used once, but "${repeated.name}" comes twice`)
}

/** A catalogue beside another describes its families anew, or leaves them out. */
function readFamilies(node: Node, base: Catalog | undefined): Record<ModelFamily, FamilyDefaults> {
  const given = node.optional((families) => base
    ? Object.entries(families.fields(...Object.keys(base.families))).filter(([, own]) => !own.absent)
    : families.entries()) ?? []
  return { ...base?.families, ...Object.fromEntries(given.map(([family, own]) => [family, readDefaults(own)])) }
}

function readDefaults(node: Node): FamilyDefaults {
  const fields = node.fields('preprocessing', 'thresholds', 'boxesDecoded', 'cropMargin')
  return {
    preprocessing: readPreprocessing(fields.preprocessing),
    thresholds: fields.thresholds.optional((own) => readThresholds(own)),
    boxesDecoded: fields.boxesDecoded.optional((flag) => flag.boolean()),
    cropMargin: fields.cropMargin.optional((margin) => margin.fraction()),
  }
}

function readModel(node: Node, context: Context): CatalogEntry {
  const fields = node.fields(
    'name', 'task', 'family', 'default', 'licence', 'obtain', 'input', 'preprocessing', 'thresholds', 'labelSet',
    'boxesDecoded', 'cropMargin', 'files')
  const family = fields.family.oneOf(Object.keys(context.families))
  const defaults = context.families[family] as FamilyDefaults
  const { name, width, height } = fields.input.fields('name', 'width', 'height')
  const files = fields.files.list().map((file) => readFile(file, context))
  if (files.length === 0) fields.files.fail('at least one file')
  const obtain = fields.obtain.optional((text) => text.string())
  if (obtain === undefined && files.some((file) => file.sources.length === 0)) {
    fields.obtain.fail('a sentence on how to get the files that have no source')
  }
  return {
    name: fields.name.string('a name of small letters, digits, dots and dashes', /^[a-z0-9][a-z0-9.-]*$/),
    task: fields.task.string(),
    family,
    default: fields.default.optional((flag) => flag.boolean()) ?? false,
    licence: readLicence(fields.licence),
    obtain,
    input: { name: name.string(), width: width.positiveInteger(), height: height.positiveInteger() },
    preprocessing: fields.preprocessing.optional(readPreprocessing) ?? defaults.preprocessing,
    thresholds: fields.thresholds.optional((own) => readThresholds(own, defaults.thresholds)) ?? defaults.thresholds,
    labels: fields.labelSet.optional((set) =>
      context.labelSets.get(set.string()) ?? set.fail(`one of ${[...context.labelSets.keys()].join(', ')}`)) ?? [],
    boxesDecoded: fields.boxesDecoded.optional((flag) => flag.boolean()) ?? defaults.boxesDecoded,
    cropMargin: fields.cropMargin.optional((margin) => margin.fraction()) ?? defaults.cropMargin,
    files,
  }
}

function readSample(node: Node, context: Context): SampleEntry {
  const fields = node.fields('name', 'licence', 'description', 'files')
  return {
    name: fields.name.string(),
    licence: readLicence(fields.licence),
    description: fields.description.string(),
    files: fields.files.list().map((file) => readFile(file, context)),
  }
}

function readLicence(node: Node): Licence {
  const { id, note } = node.fields('id', 'note')
  return { id: id.string(), note: note.optional((text) => text.string()) }
}

function readPreprocessing(node: Node): Preprocessing {
  const { resize, channelOrder, mean, std, pad } = node.fields('resize', 'channelOrder', 'mean', 'std', 'pad')
  const [r, g, b] = triple(std, (value) => value > 0, 'three numbers above 0')
  return {
    resize: resize.oneOf(RESIZE_MODES),
    channelOrder: channelOrder.oneOf(CHANNEL_ORDERS),
    mean: triple(mean, Number.isFinite, 'three numbers'),
    scale: [1 / r, 1 / g, 1 / b],
    pad: pad.number('a grey level from 0 to 255', (value) => value >= 0 && value <= 255),
  }
}

function triple(node: Node, accepted: (value: number) => boolean, expected: string): [number, number, number] {
  const [first, second, third, ...more] = node.list().map((item) => item.number(expected, accepted))
  if (first === undefined || second === undefined || third === undefined || more.length > 0) return node.fail(expected)
  return [first, second, third]
}

/** What a model leaves out is its family's. A family that answers each object once has no use for an overlap. */
function readThresholds(node: Node, defaults?: Thresholds): Thresholds {
  const fields = node.fields('scoreThreshold', 'iouThreshold', 'maxDetections')
  const read = (key: keyof Thresholds, own: (field: Node) => number): number =>
    (defaults && fields[key].absent ? defaults[key] : own(fields[key]))
  return {
    scoreThreshold: read('scoreThreshold', (field) => field.fraction()),
    iouThreshold: read('iouThreshold', (field) => field.optional((own) => own.fraction()) ?? 1),
    maxDetections: read('maxDetections', (field) => field.positiveInteger()),
  }
}

function readFile(node: Node, context: Context): CatalogFile {
  const { name, sha256, bytes, sources } = node.fields('name', 'sha256', 'bytes', 'sources')
  const file = {
    name: name.string('a file name without a directory', /^[^/\s]+$/),
    sha256: sha256.optional((digest) => digest.string('a SHA-256 of 64 small hexadecimal digits', /^[0-9a-f]{64}$/)),
    bytes: bytes.optional((size) => size.positiveInteger()),
    sources: sources.list().map((source) => readSource(source, context)),
  }
  if (file.sources.some((source) => source.kind !== 'file') && file.sha256 === undefined) {
    sha256.fail('the SHA-256 of a file that is downloaded')
  }
  return file
}

function readSource(node: Node, context: Context): FileSource {
  const fields = node.fields('kind', 'package', 'path', 'url')
  const kind = fields.kind.oneOf(['npm', 'https', 'file'])
  if (kind === 'https') return { kind, url: fields.url.string('an http or https URL', /^https?:\/\/\S+$/) }
  const path = fields.path.string()
  if (kind === 'file') return { kind, path: resolve(context.directory, path) }
  const spec = fields.package.string('an exact npm version, name@1.2.3', /^(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+[\w.+-]*$/)
  const pinned = context.packages.get(spec) ?? fields.package.fail('a package listed under "packages"')
  return { kind, package: spec, path, integrity: pinned.integrity, packageBytes: pinned.bytes }
}
