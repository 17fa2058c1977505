/** Traces, as a real collector on loopback receives them: from a client through the server to its workers' stages. */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { propagation, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import pino from 'pino'
import t, { type Test } from 'tap'
import { EdgeInferClient } from '../../lib/client/index.js'
import { openTracing } from '../../lib/http/index.js'
import { until } from '../workers/helpers.js'
import { sample, startServer } from './server.js'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: { intValue?: number; stringValue?: string; doubleValue?: number } }[]
  status: { code?: number }
}

interface Export {
  resourceSpans: { scopeSpans: { spans: Span[] }[] }[]
}

const [SERVER, CLIENT] = [2, 3]
const ERROR = 2

/** What the collector has been sent. */
async function startCollector(t: Test): Promise<Span[]> {
  const spans: Span[] = []
  const collector = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(text) as Export
      spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)))
      response.setHeader('content-type', 'application/json').end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  t.teardown(() => collector.close())
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  return spans
}

t.test('client, server, queue, worker, stages', async (t) => {
  const spans = await startCollector(t)
  const provider = new TracerProvider(
    { spanProcessors: [new SimpleSpanProcessor({ exporter: new OTLPTraceExporter() })] },
  )
  trace.setGlobalTracerProvider(provider)
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  const tracing = await openTracing('0.0.0-test', pino({ level: 'silent' }))
  const { url, port, server } = await startServer(t, { tasks: { face_detection: { workers: 2 } }, tracing })
  await using client = new EdgeInferClient(url)
  const image = await sample('faces')
  await client.executeTask('face_detection', { image })
  const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  await fetch(`${url}/execute_task/face_detection`, {
    method: 'POST', body: 'no picture',
    headers: { 'content-type': 'image/jpeg', traceparent: `00-${traceId}-${spanId}-01` },
  })
  await client.executeTask('car_detection', { image }).catch(() => {})
  await leaveInTheBody(port, server.app.server)
  await (await fetch(`${url}/healthz`)).text()
  t.ok(await until(() => spans.filter(({ kind }) => kind === CLIENT).length === 2), 'both of the client')
  await tracing.close()
  await provider.shutdown()

  const servers = spans.filter(({ kind }) => kind === SERVER)
  t.strictSame(
    servers.map(({ name }) => name),
    ['face', 'face', 'car', 'face'].map((what) => `POST /execute_task/${what}_detection`),
  )
  const [served, broken, refused, left] = servers as [Span, Span, Span, Span]
  const asked = spans.find(({ spanId }) => spanId === served.parentSpanId) as Span
  t.match(asked, { kind: CLIENT, traceId: served.traceId })
  t.equal(attribute(served, 'http.response.status_code'), 200)
  t.match(broken, { traceId, parentSpanId: spanId })
  t.equal(attribute(broken, 'http.response.status_code'), 400)
  t.strictSame([attribute(refused, 'http.response.status_code'), refused.status.code], [503, ERROR])

  t.equal(attribute(left, 'http.response.status_code'), 499, 'a caller who leaves is in the trace, too')

  const below = (parent: Span): Span[] => spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId)
  t.strictSame(below(served).map(({ name }) => name), ['queue', 'worker'])
  const [queue, worker] = below(served) as [Span, Span]
  t.ok(Number(attribute(worker, 'process.pid')) > 1)
  const stages = below(worker)
  t.strictSame(
    stages.map(({ name }) => name).filter((name) => name !== 'encode'),
    ['decode', 'preprocess', 'inference', 'postprocess'],
  )
  t.equal(new Set(spans.filter(({ traceId }) => traceId === served.traceId)).size, 4 + stages.length)
  const inOrder = [asked, served, queue, worker, ...stages].map(({ startTimeUnixNano }) => BigInt(startTimeUnixNano))
  t.strictSame(inOrder, [...inOrder].sort((a, b) => Number(a - b)), 'each begins after the one it is in or behind')
  // Stages are measured in the worker, the rest by the server's clock.
  const slack = 1_000_000n
  for (const span of [...below(served), ...stages]) {
    t.ok(BigInt(span.endTimeUnixNano) <= BigInt(served.endTimeUnixNano) + slack, `${span.name} ends within the request`)
  }
  t.notOk(below(refused).length, 'nothing ran')
})

/** Resolves when the server knows. */
async function leaveInTheBody(port: number, server: Server): Promise<void> {
  const accepted = once(server, 'connection')
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /execute_task/face_detection HTTP/1.1\r\nHost: here\r\nContent-Type: image/jpeg\r\n' +
    'Content-Length: 1000\r\n\r\nnot all')
  const [connection] = await accepted as [Socket]
  const over = once(connection, 'close')
  await once(server, 'request')
  socket.destroy()
  await over
}

function attribute({ attributes }: Span, key: string): unknown {
  const value = attributes.find((one) => one.key === key)?.value
  return value?.intValue ?? value?.stringValue ?? value?.doubleValue
}
