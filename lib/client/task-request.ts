/** Encodes the input of a task as a request body. */
import { platform } from '#client/platform'
import { EdgeInferError } from '../errors.js'
import { encodeBytesLiteral, imageType, resolveImage, type ClientImage } from './image.js'
import type { ImageEncoding } from './options.js'
import type { TaskConf } from './types.js'

const MAX_BODY_BYTES = 64 << 20
/** The head of a request may have 16 KiB in all. */
const MAX_QUERY_CHARACTERS = 4096

/** Every member an input may have. */
export interface AnyTaskInput {
  image?: ClientImage
  image_list?: readonly ClientImage[]
  clip?: readonly ClientImage[]
  faces?: readonly ClientImage[]
  bbox?: readonly (readonly number[])[]
  prob?: readonly number[]
  task_conf?: TaskConf
}

export interface RequestFields {
  render: boolean | undefined
  timeoutMs: number
  taskConf: TaskConf | undefined
}

export interface TaskBody {
  /** With its question mark; empty where the body has everything. */
  query: string
  headers: Record<string, string>
  body: Uint8Array
}

/** Bytes of a file, or text in an encoding of the interface. */
type Picture = Uint8Array | string

interface Pictures {
  image: Picture | undefined
  image_list: Picture[] | undefined
  clip: Picture[] | undefined
  faces: Picture[] | undefined
}

/**
 * `raw`: a lone file is the body, what goes with it the query string; several files, or one with many boxes, are a
 * multipart form (eight frames take a third less time than as base64 in JSON, and half a millisecond less of this
 * thread for each 100 KB). Other encodings, and pictures that are text already, are JSON.
 * @throws EdgeInferError BAD_IMAGE, TOO_LARGE.
 */
export async function encodeTask(
  input: AnyTaskInput, encoding: ImageEncoding, fields: RequestFields,
): Promise<TaskBody> {
  const pictures = await resolvePictures(input)
  const rest = {
    bbox: input.bbox,
    prob: input.prob,
    task_conf: fields.taskConf,
    render: fields.render,
    timeout_ms: fields.timeoutMs,
  }
  const files = encoding === 'raw' ? allFiles(pictures) : undefined
  return checkSize(files ? rawBody(files, rest) ?? formBody(files, rest) : jsonBody(pictures, encoding, rest))
}

async function resolvePictures({ image, image_list, clip, faces }: AnyTaskInput): Promise<Pictures> {
  const list = async (images: readonly ClientImage[] | undefined, name: string): Promise<Picture[] | undefined> =>
    images && Promise.all(images.map((item, index) => resolveImage(item, `${name}[${index}]`)))
  return {
    image: image === undefined ? undefined : await resolveImage(image, 'image'),
    image_list: await list(image_list, 'image_list'),
    clip: await list(clip, 'clip'),
    faces: await list(faces, 'faces'),
  }
}

type NamedFile = readonly [name: string, file: Uint8Array]
type Members = Readonly<Record<string, unknown>>

/** The pictures as files; undefined where one is text, or a list is empty, which a form cannot say. */
function allFiles(pictures: Pictures): NamedFile[] | undefined {
  type Member = [string, Picture | Picture[]]
  const members = Object.entries(pictures).filter((entry): entry is Member => entry[1] !== undefined)
  const files = members.flatMap(([name, member]) => [member].flat().map((picture) => [name, picture] as const))
  const whole = files.length > 0 && members.every(([, { length }]) => length > 0)
  return whole && files.every((file): file is NamedFile => typeof file[1] !== 'string') ? files : undefined
}

/** undefined where there is more than one picture, or more to say than a query string holds. */
function rawBody(files: readonly NamedFile[], rest: Members): TaskBody | undefined {
  const [name, body] = files[0] as NamedFile
  if (files.length > 1 || name !== 'image') return undefined
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(rest)) {
    if (value !== undefined) query.append(key, JSON.stringify(value))
  }
  const text = `?${query}`
  if (text.length > MAX_QUERY_CHARACTERS) return undefined
  return { query: text, headers: { 'content-type': imageType(body) as string }, body }
}

function formBody(files: readonly NamedFile[], rest: Members): TaskBody {
  // Not randomUUID, which browsers have only for pages that came over https.
  const boundary = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('-')
  const begin = (name: string, more = ''): Uint8Array =>
    encode(`\r\n--${boundary}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`)
  const parts = files.flatMap(([name, file]) =>
    [begin(name, `; filename="${name}"\r\ncontent-type: ${imageType(file)}`), file])
  const body = concatenate([
    ...parts, begin('input'), encode(JSON.stringify(rest)), encode(`\r\n--${boundary}--\r\n`),
  ])
  return { query: '', headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body }
}

function jsonBody({ image, image_list, clip, faces }: Pictures, encoding: ImageEncoding, rest: Members): TaskBody {
  const toText = (picture: Picture): string => {
    if (typeof picture === 'string') return picture
    return encoding === 'bytes-literal' ? encodeBytesLiteral(picture) : platform.encodeBase64(picture)
  }
  const json = {
    image: image === undefined ? undefined : toText(image),
    image_list: image_list?.map(toText),
    clip: clip?.map(toText),
    faces: faces?.map(toText),
    ...rest,
  }
  return { query: '', headers: { 'content-type': 'application/json' }, body: encode(JSON.stringify(json)) }
}

/** Checked here: a node that refuses a body it has not read may close before its answer arrives. */
function checkSize(request: TaskBody): TaskBody {
  if (request.body.length <= MAX_BODY_BYTES) return request
  throw new EdgeInferError(
    'TOO_LARGE', `Expected a request of at most ${MAX_BODY_BYTES} bytes but its images take ${request.body.length}`,
  )
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, { length }) => size + length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
