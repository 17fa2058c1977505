/** `/metrics`, for Prometheus. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { isTaskName, type TaskName } from '../../tasks/registry.js'
import type { HttpContext } from '../context.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The task that the route runs; absent where the path names it as `:model`. */
    task?: TaskName
    /** Label of the route's durations; absent where they are not measured. */
    metric?: string
  }
}

export function metricsRoutes(app: FastifyInstance, { metrics }: HttpContext): void {
  app.addHook('onResponse', ({ routeOptions: { config: { metric, task } }, params }, reply, done) => {
    if (metric !== undefined) {
      const name = task ?? (params as { model?: string }).model
      // Labels are bounded: callers do not make up names of tasks.
      if (isTaskName(name)) metrics.observeRequest(name, metric, reply.statusCode, reply.elapsedTime / 1000)
    }
    done()
  })
  app.get('/metrics', {
    schema: {
      tags: ['Health'],
      summary: 'Figures of this node in the text format of Prometheus',
      produces: ['text/plain'],
      response: { 200: Type.String() },
    },
  }, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
}
