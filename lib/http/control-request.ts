/** The small JSON object that a control route is sent. */
import type { FastifyRequest } from 'fastify'
import { EdgeInferError } from '../errors.js'
import { TASK_NAMES, type TaskName } from '../tasks/registry.js'
import { isTaskName } from '../tasks/index.js'
import { received } from '../validation.js'
import type { BodyReader } from './body.js'
import { bodyKind, requireJsonLook } from './media-type.js'
import type { HttpSettings } from './settings.js'

/** @throws EdgeInferError UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, REQUEST_TIMEOUT, BAD_REQUEST. */
export async function readControlRequest(
  request: FastifyRequest, bodies: BodyReader, settings: Readonly<HttpSettings>,
): Promise<Readonly<Record<string, unknown>>> {
  const kind = bodyKind(request.headers)
  if (kind !== 'json' && kind !== 'unnamed') {
    const type = received(request.headers['content-type'])
    throw new EdgeInferError('UNSUPPORTED_MEDIA_TYPE', `Expected application/json but received ${type}`)
  }
  const body = await bodies.read(request, settings.controlBodyLimit)
  if (kind === 'unnamed') requireJsonLook(body, request.headers)
  return parseObject(body)
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new EdgeInferError('BAD_REQUEST', `Expected a JSON object but the body is no JSON: ${reasonOf(cause)}`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new EdgeInferError('BAD_REQUEST', `Expected a JSON object but received ${received(value)}`)
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.slice(0, 200) : String(cause)
}

/** @throws EdgeInferError BAD_REQUEST, UNKNOWN_TASK. */
export function requireTaskName(body: Readonly<Record<string, unknown>>): TaskName {
  const { task_name: name } = body
  if (isTaskName(name)) return name
  const code = typeof name === 'string' ? 'UNKNOWN_TASK' : 'BAD_REQUEST'
  throw new EdgeInferError(code, `Expected task_name to be one of ${TASK_NAMES.join(', ')} but received ${received(name)}`)
}
