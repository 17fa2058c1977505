/** `/metrics`, for Prometheus. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { isTaskName } from '../../tasks/index.js'
import type { HttpContext } from '../context.js'

const TASK_ROUTE = /^\/((?:concurrent_)?execute_task(?:_old|_new)?)\/(\w+)$/
const INFER_ROUTE = /^\/v2\/models\/.*\/infer$/

export function metricsRoutes(app: FastifyInstance, { metrics }: HttpContext): void {
  app.addHook('onResponse', ({ routeOptions: { url = '' }, params }, reply, done) => {
    const [, route, task] = INFER_ROUTE.test(url)
      ? ['', 'infer', (params as { model: string }).model]
      : TASK_ROUTE.exec(url) ?? []
    // Labels are bounded: callers do not make up names of tasks.
    if (route && isTaskName(task)) metrics.observeRequest(task, route, reply.statusCode, reply.elapsedTime / 1000)
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
