/** A posted task in any body form, as a {@link TaskRequest}. */
import type { FastifyRequest } from 'fastify'
import { EdgeInferError } from '../errors.js'
import { native } from '../native.js'
import { parseTaskRequest, type TaskRequest } from '../tasks/request.js'
import { parseArguments } from './arguments.js'
import type { BodyReader } from './body.js'
import { bodyKind, requireJsonLook } from './media-type.js'
import { fileImage, readForm } from './multipart.js'
import type { HttpSettings } from './settings.js'

/** @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, REQUEST_TIMEOUT, QUEUE_FULL, BAD_REQUEST, BAD_IMAGE. */
export async function readTaskRequest(
  request: FastifyRequest, bodies: BodyReader, settings: Readonly<HttpSettings>,
): Promise<TaskRequest> {
  const kind = bodyKind(request.headers)
  const query = parseArguments(Object.entries(request.query as Record<string, unknown>))
  if (kind === 'multipart') return withArguments(query, await readForm(request, bodies, settings))
  const body = await bodies.read(request, settings.bodyLimit)
  if (body.length === 0) throw new EdgeInferError('BAD_REQUEST', 'Expected a body with an image but received none')
  if (kind === 'image') return { fields: query, image: fileImage(body), imageList: undefined, faces: undefined }
  if (kind === 'unnamed') requireJsonLook(body, request.headers)
  try {
    return withArguments(query, await parseTaskRequest(body))
  } finally {
    native.reclaim(body)
  }
}

/** Frees the images of a request whose jobs have been settled. */
export function reclaimImages({ image, imageList = [], faces = [] }: TaskRequest): void {
  for (const posted of [...(image ? [image] : []), ...imageList, ...faces]) native.reclaim(posted.image.data)
}

/** Members of the body come before arguments of the query string. */
function withArguments(query: Record<string, unknown>, request: TaskRequest): TaskRequest {
  return { ...request, fields: { ...query, ...request.fields } }
}
