/** What `/nodes` answers and how this node's workers do, once a second, for pages that stay open. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { WorkerInfo } from '../../workers/types.js'
import type { HttpContext } from '../context.js'
import { EventStream } from '../event-stream.js'
import { failures } from '../schemas/common.js'

const INTERVAL_MS = 1000
const MAX_LISTENERS = 64

export function eventsRoutes(app: FastifyInstance, context: HttpContext): void {
  const stream = new EventStream({
    event: 'state',
    intervalMs: INTERVAL_MS,
    maxListeners: MAX_LISTENERS,
    message: () => stateJson(context),
    closing: () => context.draining,
  })
  app.get('/events', {
    exposeHeadRoute: false,
    schema: {
      tags: ['Cluster'],
      summary: 'Server-sent events: `state` once a second',
      description: "Its data is the answer of /nodes with `workers`, this node's worker processes: model, restarts and " +
        'the latencies of their last requests in milliseconds.',
      produces: ['text/event-stream'],
      response: {
        200: Type.String({ description: 'Events for as long as the caller listens' }),
        ...failures(Type.Ref('Failure'), 'CLOSED', 'QUEUE_FULL'),
      },
    },
  }, (_request, reply) => {
    stream.add(reply.raw, reply.getHeaders())
    return reply.hijack()
  })
}

function stateJson({ workers, nodesJson }: HttpContext): string {
  const own = JSON.stringify({ workers: workers.workers().map(workerDetails) })
  return `${own.slice(0, -1)},${nodesJson().slice(1)}`
}

function workerDetails({ pid, task, model, latency, restarts, startedAt }: WorkerInfo): Record<string, unknown> {
  return { pid, task, model, p50_ms: latency?.p50, p99_ms: latency?.p99, restarts, started_at: startedAt }
}
