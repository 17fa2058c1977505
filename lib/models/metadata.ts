/** What a model file says of itself, read without its weights; and what a file is that is no model. */
import { open, stat, type FileHandle } from 'node:fs/promises'
import { EdgeInferError } from '../errors.js'
import { MODEL_FIELD, metadataEntry } from './onnx/model.js'
import { readVarint } from './onnx/protobuf.js'

/** Keys of a file of our making: the model of the catalogue it was made of. */
export const MODEL_KEY = 'edge_infer.model'
export const FAMILY_KEY = 'edge_infer.family'

export interface ModelMetadata {
  /** {@link MODEL_KEY} and {@link FAMILY_KEY}. */
  model: string | undefined
  family: string | undefined
  /** What an export of Ultralytics is for: `detect`, `pose`, … */
  task: string | undefined
  /** Class names by id. */
  names: readonly string[] | undefined
  /** The input it was exported for, pixels. */
  imageSize: { width: number; height: number } | undefined
}

const VARINT = 0
const LENGTH_DELIMITED = 2
/** ModelProto has some 25 fields, the last of number 25. */
const MAX_MODEL_FIELD = 100
/** A tag and a length. */
const MAX_FIELD_HEADER = 20
const MAX_ENTRY_BYTES = 2 ** 20

/** @throws EdgeInferError MODEL_LOAD for a file that is no ONNX model: what it is, and the remedy. */
export async function readMetadata(path: string): Promise<ModelMetadata> {
  const file = await open(path)
  try {
    const entries = new Map(await readEntries(path, file))
    return {
      model: entries.get(MODEL_KEY),
      family: entries.get(FAMILY_KEY),
      task: entries.get('task'),
      names: parseNames(entries.get('names')),
      imageSize: parseSize(entries.get('imgsz')),
    }
  } finally {
    await file.close()
  }
}

/** The metadata among the fields of a ModelProto; the graph is passed over. */
async function readEntries(path: string, file: FileHandle): Promise<[string, string][]> {
  const { size } = await file.stat()
  const read = async (at: number, length: number): Promise<Buffer> => {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - at)))
    await file.read(bytes, 0, bytes.length, at)
    return bytes
  }
  const start = await read(0, 1024)
  const refuse = (what: string): never => {
    throw new EdgeInferError('MODEL_LOAD', `${path} is ${what}`)
  }
  const other = nameOf(start)
  if (other !== undefined) return refuse(other)
  const entries: [string, string][] = []
  let hasGraph = false
  for (let at = 0; at < size;) {
    const field = readHeader(await read(at, MAX_FIELD_HEADER))
    if (field === undefined) return refuse(`no ONNX model: it begins ${start.toString('hex', 0, 8)}`)
    const end = at + field.header + field.length
    if (end > size) {
      return refuse(`cut off: it has ${size} bytes of at least ${end}. Copy or download it again`)
    }
    if (field.number === MODEL_FIELD.metadata && field.length <= MAX_ENTRY_BYTES) {
      entries.push(metadataEntry(await read(at + field.header, field.length)))
    }
    hasGraph ||= field.number === MODEL_FIELD.graph
    at = end
  }
  return hasGraph ? entries : refuse('no ONNX model: it has no graph')
}

/** Undefined where there is no field of ModelProto, all of which are numbers or have a length. */
function readHeader(bytes: Buffer): { number: number; header: number; length: number } | undefined {
  try {
    const tag = readVarint(bytes, 0)
    const value = readVarint(bytes, tag.next)
    const [number, type] = [Math.floor(tag.value / 8), tag.value % 8]
    if (number === 0 || number > MAX_MODEL_FIELD) return undefined
    if (type === VARINT) return { number, header: value.next, length: 0 }
    return type === LENGTH_DELIMITED ? { number, header: value.next, length: value.value } : undefined
  } catch {
    return undefined
  }
}

const EXAMPLE = 'for example with "yolo export format=onnx model=…"'
const EXPORT = `Export it to ONNX first, ${EXAMPLE}`

/** Files that are taken for models, by what they begin with. */
const OTHERS: readonly [at: number, start: string, name: string][] = [
  [0, 'version https://git-lfs', 'a Git LFS pointer, not the model: run "git lfs pull" where it was cloned'],
  [0, 'PK\x03\x04', `a ZIP archive, as PyTorch weights (.pt) are. ${EXPORT}`],
  [0, '\x80\x02', `a Python pickle, as PyTorch weights (.pt) are. ${EXPORT}`],
  [4, 'TFL3', 'a TensorFlow Lite model. Export it to ONNX instead'],
  [4, 'ORTM', "a model in ONNX Runtime's own format. Take the ONNX file that it was made of"],
  [0, '\x89HDF', `an HDF5 file, as Keras models are. ${EXPORT}`],
  [0, 'ftrt', 'a TensorRT engine. Take the ONNX file that it was made of'],
  [0, '\x1f\x8b', 'compressed by gzip. Unpack it first'],
]

/** What the file is, where that is known not to be a model. */
function nameOf(start: Buffer): string | undefined {
  if (start.length === 0) return 'empty. Copy or download it again'
  const text = start.toString('latin1')
  const known = OTHERS.find(([at, begin]) => text.startsWith(begin, at))
  if (known) return known[2]
  if (/^\s*<(!doctype html|html)/i.test(text)) {
    return 'an HTML page, not the model: the address was that of a page. Download the file itself'
  }
  if (/^\s*<\?xml/.test(text)) return 'an XML file, as OpenVINO models are. Take the ONNX file that it was made of'
  return /^\s*[{[]\s*"/.test(text) ? `JSON, not a model: ${text.slice(0, 80)}` : undefined
}

/** Why a path of the user's cannot be that of a model; undefined where it can. */
export async function whyNoModel(path: string): Promise<string | undefined> {
  const found = await stat(path).catch((error: Error) => error)
  if (!(found instanceof Error) && found.isDirectory()) return 'it is a directory; name the .onnx file in it'
  if (!path.endsWith('.onnx')) {
    return `a model file ends in .onnx; PyTorch weights (.pt) have to be exported first, ${EXAMPLE}`
  }
  return found instanceof Error ? found.message : undefined
}

const STRING = String.raw`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"`

/** A Python dictionary of ids from 0 or a list, as exports write it: `{0: 'helmet', 1: "worker's head"}`. */
function parseNames(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined
  const unquoted = (quoted: string): string => quoted.slice(1, -1).replace(/\\(.)/g, '$1')
  if (text.trimStart().startsWith('[')) return [...text.matchAll(new RegExp(STRING, 'g'))].map(([one]) => unquoted(one))
  const pairs = [...text.matchAll(new RegExp(`["']?(\\d+)["']?\\s*:\\s*(${STRING})`, 'g'))]
  if (pairs.length === 0 || pairs.some(([, id], index) => Number(id) !== index)) return undefined
  return pairs.map(([, , name]) => unquoted(name as string))
}

/** `[height, width]`, or the side of a square. */
function parseSize(text: string | undefined): ModelMetadata['imageSize'] {
  const [, first, second = first] = /^\[?\s*(\d{1,4})\s*(?:,\s*(\d{1,4})\s*)?\]?$/.exec(text ?? '') ?? []
  const [height, width] = [Number(first), Number(second)]
  return height >= 8 && width >= 8 ? { width, height } : undefined
}
