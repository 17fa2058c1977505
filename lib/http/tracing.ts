/**
 * Optional traces by OpenTelemetry: a span for each request to a task or control route, below it the wait for a worker,
 * the worker's work and its stages. They go to the collector that the standard OTEL_EXPORTER_OTLP_* variables name.
 * The packages are the user's to install; without `--trace` none is looked for.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Context, Exception, Span } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { EdgeInferError } from '../errors.js'
import type { JobRun } from '../workers/types.js'

/** One request. Times are milliseconds since the epoch. */
export interface RequestTrace {
  /** A job of it has been done. */
  job(run: JobRun, begin: number, end: number): void
  end(route: string, status: number): void
}

export interface Tracing {
  begin(method: string, path: string, headers: IncomingHttpHeaders): RequestTrace
  /** Sends what is left; what cannot be sent is told to the log. */
  close(): Promise<void>
}

const SERVICE = 'edge-infer'
const INSTALL = 'npm install @opentelemetry/api@1.9 @opentelemetry/core@2 @opentelemetry/resources@2 ' +
  '@opentelemetry/sdk-trace@2 @opentelemetry/exporter-trace-otlp-http@0.223'

/** Milliseconds since the epoch, finer than `Date.now()`. */
export function epochNow(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * A collector that does not answer is a warning in `log`, and no more.
 * @throws EdgeInferError BAD_OPTION where the packages are missing.
 */
export async function openTracing(version: string, log: Pick<Logger, 'warn'>): Promise<Tracing> {
  const { api, core, exporter, resources, sdk } = await loadPackages()
  const notSent = (error: Exception): void => log.warn({ reason: reasonOf(error) }, 'traces were not sent')
  const warn = (...parts: unknown[]): void => log.warn({ reason: parts.join(' ') }, 'OpenTelemetry')
  const ignore = (): void => {}
  core.setGlobalErrorHandler(notSent)
  api.diag.setLogger({ error: warn, warn, info: ignore, debug: ignore, verbose: ignore }, api.DiagLogLevel.WARN)
  const name = process.env.OTEL_SERVICE_NAME ?? SERVICE
  const provider = new sdk.TracerProvider({
    resource: resources.defaultResource().merge(
      resources.resourceFromAttributes({ 'service.name': name, 'service.version': version })),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter: new exporter.OTLPTraceExporter() })],
  })
  const tracer = provider.getTracer(SERVICE, version)
  const propagator = new core.W3CTraceContextPropagator()

  function child(name: string, parent: Context, begin: number, end: number, attributes = {}): Context {
    const span = tracer.startSpan(name, { startTime: begin, attributes }, parent)
    span.end(end)
    return api.trace.setSpan(parent, span)
  }

  function traceJob(parent: Context, run: JobRun, begin: number, end: number): void {
    const started = Math.max(begin, end - run.usage.wallSeconds * 1000)
    child('queue', parent, begin, started)
    const worker = child('worker', parent, started, end, {
      'process.pid': run.pid,
      'edge_infer.cpu_seconds': run.usage.cpuSeconds,
      'edge_infer.cpu_util_limit': run.limits.cpuUtilLimit,
      'edge_infer.pictures': run.items.length,
    })
    let at = started
    for (const [stage, milliseconds] of Object.entries(run.timings)) {
      if (milliseconds > 0) child(stage, worker, at, at += milliseconds)
    }
  }

  return {
    begin(method, path, headers) {
      const remote = propagator.extract(api.ROOT_CONTEXT, headers, api.defaultTextMapGetter)
      const attributes = { 'http.request.method': method, 'url.path': path }
      const span = tracer.startSpan(method, { kind: api.SpanKind.SERVER, startTime: epochNow(), attributes }, remote)
      const context = api.trace.setSpan(remote, span)
      return {
        job: (run, begin, end) => traceJob(context, run, begin, end),
        end: (route, status) => endRequest(span, `${method} ${route}`, route, status, api.SpanStatusCode.ERROR),
      }
    },
    close: () => provider.shutdown().catch(notSent),
  }
}

function reasonOf(error: Exception): string {
  if (typeof error === 'string') return error
  // An error that stands for one of each address has no message.
  return error.message || String(error.code ?? error.name)
}

function endRequest(span: Span, name: string, route: string, status: number, failed: number): void {
  span.updateName(name)
  span.setAttributes({ 'http.route': route, 'http.response.status_code': status })
  if (status >= 500) span.setStatus({ code: failed })
  span.end(epochNow())
}

async function loadPackages() {
  try {
    const [api, core, exporter, resources, sdk] = await Promise.all([
      import('@opentelemetry/api'), import('@opentelemetry/core'), import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'), import('@opentelemetry/sdk-trace'),
    ])
    return { api, core, exporter, resources, sdk }
  } catch (cause) {
    const missing = /'(@opentelemetry\/[\w-]+)'/.exec(
      cause instanceof Error ? cause.message : '',
    )?.[1] ?? 'OpenTelemetry'
    throw new EdgeInferError(
      'BAD_OPTION', `--trace needs ${missing}, which is not installed. Run "${INSTALL}"`, { cause },
    )
  }
}
