/** What `/nodes` answers, once a second, for pages that stay open. */
import { Type } from 'typebox'
import type { Cluster } from '../../cluster/index.js'
import { EventStream } from '../event-stream.js'
import { failures } from '../schemas/common.js'
import type { Routes } from './index.js'

const INTERVAL_MS = 1000
const MAX_LISTENERS = 64

export function eventsRoutes(cluster: Cluster): Routes {
  return (app, context) => {
    const stream = new EventStream({
      event: 'state',
      intervalMs: INTERVAL_MS,
      maxListeners: MAX_LISTENERS,
      message: () => cluster.nodesJson().toString(),
      closing: () => context.draining,
    })
    app.get('/events', {
      exposeHeadRoute: false,
      schema: {
        tags: ['Cluster'],
        summary: 'Server-sent events: `state` once a second, with what /nodes answers',
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
}
