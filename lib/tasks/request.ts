/** A request to a task: its JSON body parsed, its images found and taken out. */
import { isUtf8 } from 'node:buffer'
import { EdgeInferError } from '../errors.js'
import { native, type ExtractedImage, type ImageEncoding, type NativeImage } from '../native.js'

export interface PostedImage {
  image: NativeImage
  /** How it came; images are answered in the same form. */
  encoding: ImageEncoding
}

export interface TaskRequest {
  /** Every member of the JSON but the images. */
  fields: Readonly<Record<string, unknown>>
  image: PostedImage | undefined
  /** `image_list`, or its other name `clip`. */
  imageList: readonly PostedImage[] | undefined
  faces: readonly PostedImage[] | undefined
}

/** @throws EdgeInferError BAD_REQUEST (no JSON object), BAD_IMAGE, TOO_LARGE. */
export async function parseTaskRequest(body: Uint8Array): Promise<TaskRequest> {
  requireNoUtf16(body)
  const { rest, images, lists } = await native.extractImages(body)
  requireUtf8(rest, body)
  const list = (key: ExtractedImage['key']): PostedImage[] | undefined =>
    lists.includes(key) ? images.filter((image) => image.key === key) : undefined
  const single = images.filter(({ key }) => key === 'image')
  if (single.length > 1 || new Set(lists).size !== lists.length) {
    throw new EdgeInferError('BAD_REQUEST', 'Expected each member of the JSON object once but received one twice')
  }
  const [imageList, clip] = [list('image_list'), list('clip')]
  if (imageList && clip) {
    throw new EdgeInferError('BAD_REQUEST', 'Expected image_list or its other name clip but received both')
  }
  return {
    fields: parseObject(rest),
    image: single[0],
    imageList: imageList ?? clip,
    faces: list('faces'),
  }
}

/** Some writers of JSON have it as UTF-16, with a mark at the beginning. */
function requireNoUtf16([first, second]: Uint8Array): void {
  if (!(first === 0xff && second === 0xfe) && !(first === 0xfe && second === 0xff)) return
  throw new EdgeInferError('BAD_REQUEST', 'Expected JSON in UTF-8 but received UTF-16')
}

/** What is not UTF-8 has become U+FFFD in `rest`; only where there is one is the body looked through. */
function requireUtf8(rest: string, body: Uint8Array): void {
  if (!rest.includes('\ufffd') || isUtf8(body)) return
  throw new EdgeInferError('BAD_REQUEST', 'Expected JSON in UTF-8 but received bytes that are not')
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new EdgeInferError('BAD_REQUEST', `Expected a JSON object but its members are no JSON: ${reason}`, { cause })
  }
}
