/** A task posted as a form: files `image` (several make an image_list), `image_list`, `clip`, `faces`; JSON in `input`. */
import type { FastifyRequest } from 'fastify'
import { EdgeInferError } from '../errors.js'
import { parseTaskRequest, type PostedImage, type TaskRequest } from '../tasks/request.js'
import { parseArguments } from './arguments.js'
import type { BodyReader } from './body.js'
import { GatheredBytes } from './gathered.js'
import type { HttpSettings } from './settings.js'

const FILE_FIELDS = ['image', 'image_list', 'clip', 'faces'] as const
type FileField = (typeof FILE_FIELDS)[number]

const MAX_FILES = 64
const MAX_FIELDS = 32
const MAX_FIELD_BYTES = 2 ** 20

interface Form {
  files: Map<FileField, PostedImage[]>
  fields: Map<string, unknown>
}

/** @throws EdgeInferError TOO_LARGE, REQUEST_TIMEOUT, QUEUE_FULL, BAD_REQUEST, BAD_IMAGE. */
export async function readForm(
  request: FastifyRequest, bodies: BodyReader, settings: Readonly<HttpSettings>,
): Promise<TaskRequest> {
  const [{ files, fields }] = await Promise.all([
    collect(request, settings.bodyLimit).catch(explain),
    bodies.receive(request, settings.bodyLimit),
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

async function collect(request: FastifyRequest, bodyLimit: number): Promise<Form> {
  const form: Form = { files: new Map(), fields: new Map() }
  const limits = {
    fileSize: bodyLimit, files: MAX_FILES, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES, parts: MAX_FILES + MAX_FIELDS,
  }
  for await (const part of request.parts({ limits })) {
    if (part.type === 'field') {
      if (part.valueTruncated) {
        throw new EdgeInferError('TOO_LARGE', `Expected the field ${part.fieldname} to have at most ${MAX_FIELD_BYTES} bytes`)
      }
      form.fields.set(part.fieldname, part.value)
      continue
    }
    const bytes = new GatheredBytes(bodyLimit)
    for await (const piece of part.file) bytes.add(piece as Buffer)
    const name = requireFileField(part.fieldname)
    const image: PostedImage = { image: { kind: 'encoded', data: bytes.finish() }, encoding: 'encoded' }
    form.files.set(name, [...(form.files.get(name) ?? []), image])
  }
  return form
}

/** An image file as it is; images are answered in base64. */
export function fileImage(data: Uint8Array): PostedImage {
  return { image: { kind: 'encoded', data }, encoding: 'encoded' }
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
