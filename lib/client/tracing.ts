/** A span for each request, and its context in the request's headers, in programs that use OpenTelemetry. */

type OpenTelemetry = typeof import('@opentelemetry/api')

/** Undefined in programs that do not have the package. */
let openTelemetry: Promise<OpenTelemetry | undefined> | undefined

/**
 * Calls `send` with the headers that carry the trace. In a program that has registered no tracer provider there is
 * neither span nor header.
 */
export async function traced<T extends { status: number }>(
  method: string, url: string, send: (headers: Record<string, string>) => Promise<T>,
): Promise<T> {
  openTelemetry ??= import('@opentelemetry/api').catch(() => undefined)
  const api = await openTelemetry
  if (!api) return send({})
  const { pathname, hostname, port } = new URL(url)
  const span = api.trace.getTracer('edge-infer').startSpan(`${method} ${pathname}`, {
    kind: api.SpanKind.CLIENT,
    attributes: {
      'http.request.method': method,
      'url.full': url,
      'server.address': hostname,
      'server.port': Number(port) || undefined,
    },
  })
  const headers: Record<string, string> = {}
  api.propagation.inject(api.trace.setSpan(api.context.active(), span), headers)
  try {
    const reply = await send(headers)
    span.setAttribute('http.response.status_code', reply.status)
    return reply
  } catch (error) {
    span.recordException(error as Error)
    span.setStatus({ code: api.SpanStatusCode.ERROR })
    throw error
  } finally {
    span.end()
  }
}
