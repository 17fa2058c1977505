/** What every refusal and fault answers: a JSON object with `error`, and the members that callers of the route read. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { EdgeInferError, type ErrorCode } from '../errors.js'
import type { TaskName } from '../tasks/registry.js'
import { isTaskName } from '../tasks/index.js'
import type { EffectiveLimits } from '../workers/types.js'
import type { HttpContext } from './context.js'
import { JSON_TYPE } from './json-reply.js'
import { unknownResourceInfo } from './resource-info.js'
import { taskConf } from './task-conf.js'

export interface ErrorMember {
  code: ErrorCode
  message: string
}

/** Members beside `error`, by the route that was asked. */
const FLAGS: readonly (readonly [RegExp, string])[] = [
  [/^\/add_work_process\b/, 'create_flag'],
  [/^\/decrease_work_process\b/, 'decrease_flag'],
  [/^\/limit_(process|task)_resource\b/, 'limit_flag'],
]

/** Where `error` is a text. */
const INFERENCE_PROTOCOL_ROUTE = /^\/v2\b/

const TASK_ROUTE = /^\/(?:concurrent_)?execute_task(?:_old|_new)?(?:\/(\w*)|\b)/

export function sendFailure(
  context: HttpContext, request: FastifyRequest, reply: FastifyReply, error: EdgeInferError,
): FastifyReply {
  if (error.status === 503) reply.header('retry-after', retryAfterSeconds(error))
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="edge-infer"')
  return reply.code(error.status).type(JSON_TYPE).send(JSON.stringify(failureBody(context, request, error)))
}

function failureBody(context: HttpContext, request: FastifyRequest, error: EdgeInferError): Record<string, unknown> {
  const member = errorMember(error)
  if (INFERENCE_PROTOCOL_ROUTE.test(request.url)) return { error: member.message }
  const task = TASK_ROUTE.exec(request.url)
  if (task) {
    const { receivedAt } = request.lifecycle
    const allLatency = receivedAt === 0 ? 0 : (performance.now() - receivedAt) / 1000
    return taskFailureBody(context, member, { allLatency, limits: limitsOf(context, task[1]) })
  }
  const flag = FLAGS.find(([route]) => route.test(request.url))?.[1]
  return { ...(flag && { [flag]: false }), error: member }
}

/** What a task route answers when it has no result. */
export function taskFailureBody(
  { deviceIp }: Pick<HttpContext, 'deviceIp'>,
  error: ErrorMember,
  { allLatency = 0, limits }: { allLatency?: number; limits?: EffectiveLimits | undefined } = {},
): Record<string, unknown> {
  return {
    execute_flag: false,
    error,
    proc_resource_info: unknownResourceInfo(limits, { allLatency, deviceIp }),
    task_conf: taskConf(),
  }
}

export function errorMember({ code, message }: EdgeInferError): ErrorMember {
  if (code === 'INTERNAL') return { code, message: FAULT }
  // Its path is the caller's own.
  return { code, message: code === 'NOT_FOUND' ? message : withoutPaths(message) }
}

const FAULT = 'A fault of this server; its log says more under the x-request-id of this answer'

/** Absolute paths become their last part; those of the kernel's own files are everyone's. */
function withoutPaths(message: string): string {
  return message.replace(/(?<![\w.:/~-])(?:~|\/(?!(?:sys|proc)\/))[^\s'",:;()]*\/([^\s/'",:;()]+)\/?/g, '$1')
}

function limitsOf({ workers }: HttpContext, task: TaskName | string | undefined): EffectiveLimits | undefined {
  try {
    return isTaskName(task) ? workers.taskLimits(task) : undefined
  } catch {
    return undefined
  }
}

function retryAfterSeconds({ details }: EdgeInferError): number {
  const seconds = details?.retryAfterSeconds
  return typeof seconds === 'number' && seconds > 0 ? Math.ceil(seconds) : 1
}

interface HttpFault {
  code?: unknown
  statusCode?: unknown
}

/** Whatever a handler, fastify or a plugin threw, as an error of the table. */
export function toHttpError(error: unknown): EdgeInferError {
  if (error instanceof EdgeInferError) return error
  const { code, statusCode } = (error ?? {}) as HttpFault
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode >= 500) {
    return new EdgeInferError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error })
  }
  const message = error instanceof Error ? error.message : String(code)
  return new EdgeInferError(CODE_BY_STATUS[statusCode] ?? 'BAD_REQUEST', message, { cause: error })
}

const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  404: 'NOT_FOUND',
  408: 'REQUEST_TIMEOUT',
  413: 'TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
}
