/** From the input of a task to the body that carries it. */
import { EdgeInferError } from '../errors.js'
import { encodeBytesLiteral, imageType, resolveImage, type ClientImage } from './image.js'
import type { ImageForm } from './options.js'
import type { TaskConf } from './types.js'

const MOST_BODY_BYTES = 64 << 20

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
  render: boolean
  timeoutMs: number
  taskConf: TaskConf | undefined
}

export interface TaskBody {
  /** With its question mark; empty where the body says it all. */
  query: string
  headers: Record<string, string>
  body: Buffer
}

/**
 * A picture that is all there is to say travels as the body itself. Everything else is JSON, its pictures in base64:
 * boxes and lists have no place in a query string.
 * @throws EdgeInferError BAD_IMAGE, TOO_LARGE.
 */
export async function encodeTask(input: AnyTaskInput, form: ImageForm, fields: RequestFields): Promise<TaskBody> {
  const { image, image_list, clip, faces, bbox, prob } = input
  const file = image === undefined ? undefined : await resolveImage(image, 'image')
  const alone = [image_list, clip, faces, bbox, prob].every((member) => member === undefined)
  if (form === 'raw' && alone && typeof file === 'object') return checkSize(rawBody(file, fields))
  const toText = (item: Buffer | string): string => {
    if (typeof item === 'string') return item
    return form === 'bytes-literal' ? encodeBytesLiteral(item) : item.toString('base64')
  }
  const toTexts = async (images: readonly ClientImage[] | undefined, name: string): Promise<string[] | undefined> =>
    images && Promise.all(images.map(async (item, index) => toText(await resolveImage(item, `${name}[${index}]`))))
  const json = {
    image: file === undefined ? undefined : toText(file),
    image_list: await toTexts(image_list, 'image_list'),
    clip: await toTexts(clip, 'clip'),
    faces: await toTexts(faces, 'faces'),
    bbox,
    prob,
    task_conf: fields.taskConf,
    render: fields.render || undefined,
    timeout_ms: fields.timeoutMs,
  }
  const headers = { 'content-type': 'application/json' }
  return checkSize({ query: '', headers, body: Buffer.from(JSON.stringify(json)) })
}

function rawBody(body: Buffer, { render, timeoutMs }: RequestFields): TaskBody {
  const query = new URLSearchParams({ timeout_ms: String(timeoutMs), ...(render && { render: 'true' }) })
  return { query: `?${query}`, headers: { 'content-type': imageType(body) as string }, body }
}

/** Told here: a node that refuses a body it has not read may close before its answer is seen. */
function checkSize(request: TaskBody): TaskBody {
  if (request.body.length <= MOST_BODY_BYTES) return request
  throw new EdgeInferError(
    'TOO_LARGE', `Expected a request of at most ${MOST_BODY_BYTES} bytes but its images take ${request.body.length}`,
  )
}
