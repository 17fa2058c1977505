/** A task as it was posted: JSON, an image as the body, or a form; further arguments in the query string. */
import type { FastifyRequest } from 'fastify'
import { EdgeInferError } from '../errors.js'
import { parseTaskRequest, type PostedImage, type TaskRequest } from '../tasks/request.js'
import { BodyBuffer, bodyKind, reclaimBody, requireJsonLook, type BodyReader } from './body.js'
import type { HttpSettings } from './settings.js'

/** Files of a form; several named `image` make an image_list. Its field `input` holds further members as JSON. */
const FILE_FIELDS = ['image', 'image_list', 'clip', 'faces'] as const
type FileField = (typeof FILE_FIELDS)[number]

const MAX_FILES = 64
const MAX_FIELDS = 32
const MAX_FIELD_BYTES = 2 ** 20

type Fields = Readonly<Record<string, unknown>>

/** @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, REQUEST_TIMEOUT, QUEUE_FULL, BAD_REQUEST, BAD_IMAGE. */
export async function readTaskRequest(
  request: FastifyRequest, bodies: BodyReader, settings: Readonly<HttpSettings>,
): Promise<TaskRequest> {
  const kind = bodyKind(request)
  const query = parseArguments(Object.entries(request.query as Fields))
  if (kind === 'multipart') return withArguments(query, await readForm(request, bodies, settings))
  const body = await bodies.read(request, settings.bodyLimit)
  if (body.length === 0) throw new EdgeInferError('BAD_REQUEST', 'Expected a body with an image but received none')
  if (kind === 'image') return { fields: query, image: fileImage(body), imageList: undefined, faces: undefined }
  if (kind === 'unnamed') requireJsonLook(body, request)
  let parsed: TaskRequest
  try {
    parsed = await parseTaskRequest(body)
  } finally {
    reclaimBody(body)
  }
  try {
    bodies.replaced(request, imagesOf(parsed).reduce((sum, { image }) => sum + image.data.length, 0))
  } catch (error) {
    reclaimImages(parsed)
    throw error
  }
  return withArguments(query, parsed)
}

function imagesOf({ image, imageList = [], faces = [] }: TaskRequest): readonly PostedImage[] {
  return [...(image ? [image] : []), ...imageList, ...faces]
}

/** Frees the images of a request whose jobs have been settled. */
export function reclaimImages(request: TaskRequest): void {
  for (const { image } of imagesOf(request)) reclaimBody(image.data)
}

/** Members of the body come before arguments of the query string. */
function withArguments(query: Fields, request: TaskRequest): TaskRequest {
  return { ...request, fields: { ...query, ...request.fields } }
}

/** Arguments that come as text: JSON where they parse, else the text. */
function parseArguments(entries: Iterable<readonly [string, unknown]>): Fields {
  return Object.fromEntries([...entries].map(([name, value]) => [name, parseArgument(value)]))
}

function parseArgument(value: unknown): unknown {
  if (Array.isArray(value)) return parseArgument(value.at(-1))
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}

/** An image file as it is; images are answered in base64. */
function fileImage(data: Uint8Array): PostedImage {
  return { image: { kind: 'encoded', data }, encoding: 'encoded' }
}

/** `task_conf`: the settings of the caller's task, as it sent them. */
export interface TaskConf {
  /** Frames a second; null where the caller did not say. */
  fps: unknown
  /** Pixels; null where neither the caller nor an image says. */
  resolution: unknown
}

const UNKNOWN_RESOLUTION = { w: null, h: null }

export function taskConf(
  fields: Fields = {}, resolution: { w: number; h: number } | undefined = undefined,
): TaskConf {
  const sent = isRecord(fields.task_conf) ? fields.task_conf : {}
  return {
    ...sent,
    fps: sent.fps ?? fields.fps ?? null,
    resolution: sent.resolution ?? fields.resolution ?? resolution ?? UNKNOWN_RESOLUTION,
  }
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface Form {
  files: Map<FileField, PostedImage[]>
  fields: Map<string, unknown>
}

async function readForm(
  request: FastifyRequest, bodies: BodyReader, { bodyLimit }: Readonly<HttpSettings>,
): Promise<TaskRequest> {
  const [{ files, fields }] = await Promise.all([
    collectParts(request, bodyLimit).catch(explain), bodies.receive(request, bodyLimit),
  ])
  const input = await parseInput(fields.get('input'))
  fields.delete('input')
  const images = files.get('image')
  const several = images && images.length > 1
  const imageList = several ? images : files.get('image_list') ?? files.get('clip')
  return {
    fields: { ...parseArguments(fields), ...input?.fields },
    image: several ? undefined : images?.[0] ?? input?.image,
    imageList: imageList ?? input?.imageList,
    faces: files.get('faces') ?? input?.faces,
  }
}

async function collectParts(request: FastifyRequest, bodyLimit: number): Promise<Form> {
  const form: Form = { files: new Map(), fields: new Map() }
  const limits = {
    fileSize: bodyLimit, files: MAX_FILES, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES,
    parts: MAX_FILES + MAX_FIELDS,
  }
  for await (const part of request.parts({ limits })) {
    if (part.type === 'field') {
      if (part.valueTruncated) {
        throw new EdgeInferError(
          'TOO_LARGE', `Expected the field ${part.fieldname} to have at most ${MAX_FIELD_BYTES} bytes`,
        )
      }
      form.fields.set(part.fieldname, part.value)
      continue
    }
    const bytes = new BodyBuffer(bodyLimit)
    for await (const piece of part.file) bytes.add(piece as Buffer)
    const name = requireFileField(part.fieldname)
    form.files.set(name, [...(form.files.get(name) ?? []), fileImage(bytes.finish())])
  }
  return form
}

/** The parser of forms throws plain errors at what is broken, and some with a status at what is too much. */
function explain(error: unknown): never {
  if (error instanceof EdgeInferError || !(error instanceof Error) || 'statusCode' in error) throw error
  throw new EdgeInferError('BAD_REQUEST', `Expected a whole multipart form: ${error.message}`, { cause: error })
}

function requireFileField(name: string): FileField {
  const field = FILE_FIELDS.find((known) => known === name)
  if (field) return field
  throw new EdgeInferError('BAD_REQUEST', `Expected files as ${FILE_FIELDS.join(', ')} but received one as "${name}"`)
}

async function parseInput(input: unknown): Promise<TaskRequest | undefined> {
  if (input === undefined) return undefined
  return parseTaskRequest(Buffer.from(typeof input === 'string' ? input : JSON.stringify(input)))
}
