/** The HTTP server of a node: its routes, and what holds for all of them. */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import cors from '@fastify/cors'
import multipart from '@fastify/multipart'
import fastify, { LogController, type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { EdgeInferError, ERROR_TABLE } from '../errors.js'
import type { Sampler } from '../host/index.js'
import type { TaskName } from '../tasks/registry.js'
import type { WorkerService } from '../workers/types.js'
import { BodyReader, discardRest, unsupportedType } from './body.js'
import { boundConnections } from './connections.js'
import type { ControlPolicy, HttpContext } from './context.js'
import { drainConnections, trackSilent } from './drain.js'
import { answerOddRequests, answerOtherMethods, connectionErrorHandler, ErrorReplies, toHttpError } from './errors.js'
import { serveHalfOpen } from './half-open.js'
import { RequestLifecycle } from './lifecycle.js'
import { Metrics } from './metrics.js'
import { registerOpenApi } from './openapi.js'
import { ROUTES, type Routes } from './routes/index.js'
import { defaultSettings, type HttpSettings } from './settings.js'
import type { Tracing } from './tracing.js'

export interface HttpServerOptions {
  workers: WorkerService
  sampler: Pick<Sampler, 'capacity'>
  log: Logger
  version: string
  /** The IP address that others reach this node at. */
  deviceIp: string
  control?: Partial<ControlPolicy> | undefined
  settings?: Partial<HttpSettings> | undefined
  /** Tasks whose answers are rendered unless the request says otherwise; by default none. */
  rendered?: readonly TaskName[] | undefined
  /** Tasks that can be asked for; by default those of `workers`. */
  services?: (() => readonly string[]) | undefined
  /** The nodes of the cluster; by default this one alone. */
  nodes?: (() => readonly { role: string; lost: boolean }[]) | undefined
  /** Certificate chain and private key, PEM: `https` in place of `http`. */
  tls?: { cert: string; key: string } | undefined
  /** By default requests are not traced. */
  tracing?: Tracing | undefined
  /** Lines of the log that nobody took, by their stream. */
  lostLines?: (() => Readonly<Record<string, number>>) | undefined
  /** Routes beside those of this folder. */
  routes?: readonly Routes[] | undefined
}

export interface HttpServer {
  readonly app: FastifyInstance
  /** Resolves to the port it listens on. @throws EdgeInferError BAD_OPTION when it cannot listen there. */
  listen(host: string, port: number): Promise<number>
  /** Accepts no more connections; resolves when every request has been answered. The workers are left running. */
  drain(): Promise<void>
  /** Cuts off every connection. */
  close(): Promise<void>
}

export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const settings = { ...defaultSettings(options.sampler.capacity().memoryBytes), ...options.settings }
  const { token, open = false } = options.control ?? {}
  const context: HttpContext = {
    workers: options.workers,
    sampler: options.sampler,
    log: options.log,
    version: options.version,
    deviceIp: options.deviceIp,
    control: { token, open },
    settings,
    bodies: new BodyReader(settings),
    rendered: options.rendered ?? [],
    services: options.services ?? (() => options.workers.tasks),
    metrics: new Metrics({
      workers: options.workers,
      capacity: () => options.sampler.capacity(),
      nodes: options.nodes ?? (() => [{ role: 'cloud', lost: false }]),
      lostLines: options.lostLines ?? (() => ({})),
    }),
    tracing: options.tracing,
    draining: false,
  }
  const app = createApp(context, options.tls)
  const silent = trackSilent(app.server)
  serveHalfOpen(app.server)
  answerOddRequests(app.server, context)
  boundConnections(app.server, settings.maxConnections, options.log)
  await app.register(cors, {
    origin: '*', strictPreflight: false, maxAge: 86_400,
    exposedHeaders: ['x-request-id', 'retry-after', 'server-timing', 'inference-header-content-length'],
  })
  await app.register(multipart)
  const finishMethods = answerOtherMethods(app)
  await registerOpenApi(app, options.version)
  for (const routes of [...ROUTES, ...(options.routes ?? [])]) routes(app, context)
  finishMethods()
  await app.ready()

  return {
    app,
    async listen(host, port) {
      try {
        await app.listen(
          { host: host === 'localhost' ? '127.0.0.1' : host, port, listenTextResolver: () => 'accepting' },
        )
      } catch (error) {
        throw explainListen(error as NodeJS.ErrnoException, host, port)
      }
      return (app.server.address() as AddressInfo).port
    },
    async drain() {
      await drainConnections(app.server, silent, settings.drainIdle, () => { context.draining = true })
      await app.close()
    },
    async close() {
      context.draining = true
      const closed = app.close()
      app.server.closeAllConnections()
      await closed
    },
  }
}

function createApp(context: HttpContext, tls: HttpServerOptions['tls']): FastifyInstance {
  const { settings } = context
  const errors = new ErrorReplies(context)
  const serverOptions = {
    headersTimeout: settings.headersTimeout,
    connectionsCheckingInterval: settings.timeoutCheckInterval,
    maxHeaderSize: settings.maxHeaderSize,
    // Without a host an answer in JSON is better than Node.js' empty one.
    requireHostHeader: false,
  }
  const app = fastify({
    loggerInstance: context.log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    routerOptions: { ignoreTrailingSlash: true },
    bodyLimit: settings.bodyLimit,
    requestTimeout: settings.requestTimeout,
    keepAliveTimeout: settings.keepAliveTimeout,
    ...(tls ? { https: { ...tls, ...serverOptions, allowHalfOpen: true } } : { http: serverOptions }),
    return503OnClosing: false,
    clientErrorHandler: connectionErrorHandler(context),
    frameworkErrors: (error, request, reply) => {
      request.lifecycle ??= new RequestLifecycle(request.socket, reply.raw)
      void errors.send(request, reply, toHttpError(error))
    },
  })
  // Handlers read their bodies themselves: a picture is no business of a JSON parser.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  // Schemas are for the OpenAPI document.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)

  errors.watch(app as unknown as FastifyInstance)
  app.decorateRequest('lifecycle')
  app.addHook('onRequest', (request, reply, done) => {
    const { method, url, headers } = request
    const lifecycle = request.lifecycle = new RequestLifecycle(request.socket, reply.raw)
    // Reads are probes and pages that ask again and again.
    const trace = method === 'POST' ? context.tracing?.begin(method, url.split('?', 1)[0] ?? url, headers) : undefined
    if (trace) {
      lifecycle.trace = trace
      const route = request.routeOptions.url ?? 'unknown'
      lifecycle.whenOver(
        () => trace.end(route, lifecycle.signal.aborted ? ERROR_TABLE.ABORTED.status : reply.statusCode),
      )
    }
    reply.header('x-request-id', request.id)
    done()
  })
  app.addHook('onSend', ({ raw, lifecycle }, reply, _payload, done) => {
    if (context.draining) reply.header('connection', 'close')
    reply.raw.setTimeout(settings.sendTimeout)
    if (!raw.readableEnded && !lifecycle.awaitsContinue) discardRest(raw, 2 * settings.bodyLimit)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions: { url }, log } = request
    const entry = { method, url, status: reply.statusCode, milliseconds: reply.elapsedTime }
    if (reply.statusCode >= 500) log.warn(entry, 'answered')
    else log.debug(entry, 'answered')
    done()
  })
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0]?.slice(0, 100)
    throw new EdgeInferError('NOT_FOUND', `Expected a route of /openapi.json but received ${request.method} ${path}`)
  })
  app.setErrorHandler((thrown, request, reply) => {
    const error = isInvalidType(thrown) ? unsupportedType(request) : toHttpError(thrown)
    if (error.code === 'INTERNAL') request.log.error({ err: error.cause ?? error }, 'fault')
    else request.log.debug({ code: error.code, reason: error.message }, 'refused')
    return errors.send(request, reply, error)
  })
  return app as unknown as FastifyInstance
}

/** A content type that fastify itself does not let pass. */
function isInvalidType(thrown: unknown): boolean {
  return (thrown as { code?: unknown } | undefined)?.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE'
}

function requestId(sent: string | string[] | undefined): string {
  return typeof sent === 'string' && /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID()
}

function explainListen(error: NodeJS.ErrnoException, host: string, port: number): EdgeInferError {
  return new EdgeInferError('BAD_OPTION', listenMessage(error, host, port), { cause: error })
}

function listenMessage({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE': return `Port ${port} of ${host} is in use; choose another with --port, or 0 for any`
    case 'EADDRNOTAVAIL': return `This machine has no address ${host}; --host 0.0.0.0 listens on all it has`
    case 'EACCES': return `This user may not listen on port ${port}; choose one from 1024 with --port`
    case 'ENOTFOUND':
    case 'EAI_AGAIN': return `There is no host ${host}; --host takes an address of this machine`
    default: return `Cannot listen on ${host}, port ${port}: ${message}`
  }
}
