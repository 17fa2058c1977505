/** What every refusal and fault answers: a JSON object with `error`, and the members that callers of the route read. */
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type {
  FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods, RouteOptions,
} from 'fastify'
import { EdgeInferError, type ErrorCode } from '../errors.js'
import type { EffectiveLimits } from '../workers/types.js'
import type { HttpContext } from './context.js'
import { lastRequest } from './lifecycle.js'
import { JSON_TYPE } from './reply.js'
import { unknownResourceInfo } from './resource-info.js'
import { taskConf } from './task-request.js'

/**
 * `task`: the members of a task's answer that callers read without looking; `inference-protocol`: `error` is a text;
 * `flag`: a member beside `error` that is false.
 */
export type FailureForm = 'task' | 'inference-protocol' | { readonly flag: string }

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The form of the route's refusals; absent: `error` alone. */
    failure?: FailureForm
  }
}

interface ErrorMember {
  code: ErrorCode
  message: string
}

/** Answers with errors, in the form of the route that was asked. */
export class ErrorReplies {
  readonly #context: HttpContext
  /** By the first segment of the path: requests that match no route have the form of those beside it. */
  readonly #forms = new Map<string, FailureForm>()

  constructor(context: HttpContext) {
    this.#context = context
  }

  /** Notes the forms of the routes that are registered from now on. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, config }: RouteOptions) => {
      if (config?.failure) this.#forms.set(firstSegment(url), config.failure)
    })
  }

  send(request: FastifyRequest, reply: FastifyReply, thrown: EdgeInferError): FastifyReply {
    const error = this.#withCause(thrown)
    if (error.status === 503) reply.header('retry-after', retryAfterSeconds(error))
    if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="edge-infer"')
    return reply.code(error.status).type(JSON_TYPE).send(JSON.stringify(this.#body(request, error)))
  }

  /** Who waits for too long is told of the CPU that was taken from this node. */
  #withCause(error: EdgeInferError): EdgeInferError {
    const { code, message, details, cause } = error
    const { lessCpu } = this.#context.workers
    if (lessCpu === undefined || (code !== 'TIMEOUT' && code !== 'QUEUE_FULL')) return error
    return new EdgeInferError(code, `${message}; ${lessCpu}`, { cause, details: { ...details } })
  }

  #body({ routeOptions: { config }, url, lifecycle }: FastifyRequest, error: EdgeInferError): Record<string, unknown> {
    const member = errorMember(error)
    const form = config?.failure ?? this.#forms.get(firstSegment(url))
    if (form === undefined) return { error: member }
    if (form === 'inference-protocol') return { error: member.message }
    if (form !== 'task') return { [form.flag]: false, error: member, applied: error.details?.applied }
    const { receivedAt } = lifecycle
    const allLatency = receivedAt === 0 ? 0 : (performance.now() - receivedAt) / 1000
    return taskFailureBody(this.#context, member, { allLatency, limits: limitsOf(this.#context, config?.task) })
  }
}

function firstSegment(url: string): string {
  return /^\/[^/?#]*/.exec(url)?.[0] ?? url
}

/** What a task route answers when it has no result. */
function taskFailureBody(
  { deviceIp }: Pick<HttpContext, 'deviceIp'>,
  error: ErrorMember,
  { allLatency = 0, limits }: { allLatency?: number; limits?: EffectiveLimits | undefined } = {},
): Record<string, unknown> {
  const info = unknownResourceInfo(limits, { allLatency, deviceIp })
  return {
    execute_flag: false,
    error,
    proc_resource_info: info,
    proc_resource_info_list: [info],
    task_conf: taskConf(),
  }
}

function errorMember({ code, message }: EdgeInferError): ErrorMember {
  if (code === 'INTERNAL') return { code, message: FAULT }
  // Its path is the caller's own.
  return { code, message: code === 'NOT_FOUND' ? message : withoutPaths(message) }
}

const FAULT = 'A fault of this server; its log says more under the x-request-id of this answer'

/** Absolute paths become their last part; those of the kernel's own files are everyone's. */
export function withoutPaths(message: string): string {
  return message.replace(/(?<![\w.:/~-])(?:~|\/(?!(?:sys|proc)\/))[^\s'",:;()]*\/([^\s/'",:;()]+)\/?/g, '$1')
}

function limitsOf({ workers }: HttpContext, task: FastifyContextConfig['task']): EffectiveLimits | undefined {
  try {
    return task && workers.taskLimits(task)
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

const METHODS: readonly HTTPMethods[] = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']

/**
 * Notes the routes that are registered from now on. Call what it returns after the last of them: the methods that a
 * route does not take are answered with METHOD_NOT_ALLOWED and the header Allow. OPTIONS is left to CORS.
 */
export function answerOtherMethods(app: FastifyInstance): () => void {
  const routes = new Map<string, { methods: Set<string>; config: FastifyContextConfig }>()
  app.addHook('onRoute', ({ url, method, config = {} }: RouteOptions) => {
    if (url === '*') return
    const route = routes.get(url) ?? { methods: new Set(), config }
    for (const name of [method].flat()) route.methods.add(name)
    routes.set(url, route)
  })
  return () => {
    for (const [url, { methods, config }] of [...routes]) {
      const allow = [...methods, 'OPTIONS'].join(', ')
      app.route({
        url,
        method: METHODS.filter((method) => !methods.has(method)),
        config,
        schema: { hide: true },
        exposeHeadRoute: false,
        handler: (request, reply) => {
          reply.header('allow', allow)
          throw new EdgeInferError('METHOD_NOT_ALLOWED', `Expected ${allow} but received ${request.method}`)
        },
      })
    }
  }
}

interface ConnectionFault {
  code?: string
  reason?: string
}

/** Long enough for the caller to read its answer before the connection is gone. */
const LINGER_MS = 1000

/** Answers broken HTTP, a head that is too large and a caller that is too slow; `clientErrorHandler` of fastify. */
export function connectionErrorHandler(context: HttpContext): (fault: ConnectionFault, socket: Socket) => void {
  const refused = new WeakSet<Socket>()
  return (fault, socket) => {
    if (refused.has(socket)) return
    if (fault.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    refused.add(socket)
    const { status, error } = explain(fault, context)
    context.log.debug({ status, reason: fault.code, caller: socket.remoteAddress }, 'connection refused')
    const last = lastRequest(socket)
    if (!last) return refuse(context, socket, status, error)
    if (last.complete || last.answering) return last.whenOver(() => refuse(context, socket, status, error))
    last.fail(error)
    if (fault.code === 'HPE_INVALID_EOF_STATE') last.end()
  }
}

function refuse(context: HttpContext, socket: Socket, status: number, error: EdgeInferError): void {
  if (!socket.writable) return
  const body = JSON.stringify(taskFailureBody(context, errorMember(error)))
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ` +
    `${Buffer.byteLength(body)}\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n${body}`)
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

function explain(fault: ConnectionFault, { settings }: HttpContext): { status: number; error: EdgeInferError } {
  switch (fault.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT': {
      const [head, all] = [settings.headersTimeout, settings.requestTimeout].map((milliseconds) => milliseconds / 1000)
      const message = `Expected the head of a request within ${head} s and all of it within ${all} s`
      return { status: 408, error: new EdgeInferError('REQUEST_TIMEOUT', message) }
    }
    case 'HPE_HEADER_OVERFLOW': {
      const message = `Expected headers of at most ${settings.maxHeaderSize} bytes together`
      return { status: 431, error: new EdgeInferError('TOO_LARGE', message) }
    }
    case 'HPE_INVALID_EOF_STATE': {
      const message = 'Expected the rest of the request but the caller ended the connection'
      return { status: 400, error: new EdgeInferError('BAD_REQUEST', message) }
    }
    default: {
      const why = fault.reason ? `: ${fault.reason}` : ''
      const message = `Expected an HTTP/1.1 request but received something else${why}`
      return { status: 400, error: new EdgeInferError('BAD_REQUEST', message) }
    }
  }
}

/** What Node.js does not hand to the routes: requests that expect something of the server, and those of proxies. */
export function answerOddRequests(server: Server, context: HttpContext): void {
  // A route tells the caller to send its body once it wants it; a refusal comes in place of that.
  server.on('checkContinue', (request, response) => server.emit('request', request, response))
  server.on('checkExpectation', ({ socket }: IncomingMessage) =>
    refuse(context, socket, 417, new EdgeInferError('BAD_REQUEST', 'Expected no header Expect but 100-continue')))
  server.on('connect', (_request, socket: Socket) => refuse(
    context, socket, 405, new EdgeInferError('METHOD_NOT_ALLOWED', 'Expected GET or POST but received CONNECT')))
}
