/** Whether the process lives, and whether it is to be sent requests. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { EdgeInferError } from '../../errors.js'
import type { HttpContext } from '../context.js'
import { failures, TaskNameSchema } from '../schemas/common.js'

const TAGS = ['Health']

export function healthRoutes(app: FastifyInstance, context: HttpContext): void {
  app.get('/healthz', {
    schema: {
      tags: TAGS,
      summary: 'Answers while the process lives',
      response: { 200: Type.Object({ status: Type.Literal('ok') }, { description: 'It lives' }) },
    },
  }, () => ({ status: 'ok' }))

  app.get('/readyz', {
    schema: {
      tags: TAGS,
      summary: 'Whether every task has a worker that is ready, and the server is not stopping',
      response: {
        200: Type.Object(
          { status: Type.Literal('ready'), tasks: Type.Array(TaskNameSchema) }, { description: 'Ready' },
        ),
        ...failures(Type.Ref('Failure'), 'CLOSED', 'NO_WORKER'),
      },
    },
  }, () => {
    const { workers } = context
    if (context.draining) throw new EdgeInferError('CLOSED', 'The server is stopping')
    if (!workers.ready) throw new EdgeInferError('NO_WORKER', 'A task of this node has no worker that is ready')
    return { status: 'ready', tasks: workers.tasks }
  })
}
