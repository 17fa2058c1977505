/** Whether the process lives, and whether it is to be sent requests. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { EdgeInferError } from '../../errors.js'
import type { MissingTask } from '../../workers/types.js'
import type { HttpContext } from '../context.js'
import { withoutPaths } from '../errors.js'
import { failures, TaskNameSchema } from '../schemas/common.js'

const TAGS = ['Health']

const Missing = Type.Record(Type.String(), Type.Object({
  state: Type.Enum(['fetching', 'starting', 'failed']),
  why: Type.String(),
  bytes: Type.Optional(Type.Integer({ description: 'Fetched of its model' })),
  total: Type.Optional(Type.Integer()),
}), { description: 'Configured tasks without a worker' })

const NotReady = Type.Object({
  status: Type.Literal('not ready'), tasks: Type.Array(TaskNameSchema), missing: Missing, error: Type.Ref('Error'),
})

export function healthRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers } = context
  app.get('/healthz', {
    schema: {
      tags: TAGS,
      summary: 'Answers while the process lives, and says how far its start is',
      response: {
        200: Type.Object({
          status: Type.Literal('ok'),
          missing: Type.Optional(Missing),
          less_cpu: Type.Optional(Type.String({ description: 'Why it is slower than when its workers started' })),
        }, { description: 'It lives' }),
      },
    },
  }, () => ({
    status: 'ok',
    missing: workers.ready || context.draining ? undefined : missingOf(context),
    less_cpu: workers.lessCpu,
  }))

  app.get('/readyz', {
    schema: {
      tags: TAGS,
      summary: 'Whether every configured task has a worker that is ready, and the server is not stopping',
      response: {
        200: Type.Object(
          { status: Type.Literal('ready'), tasks: Type.Array(TaskNameSchema) }, { description: 'Ready' },
        ),
        ...failures(Type.Union([NotReady, Type.Ref('Failure')]), 'CLOSED', 'NO_WORKER', 'STARTING'),
      },
    },
  }, (_request, reply: FastifyReply) => {
    if (context.draining) throw new EdgeInferError('CLOSED', 'The server is stopping')
    const { tasks } = workers
    const missing = missingOf(context)
    const all = Object.entries(missing)
    if (all.length === 0) return { status: 'ready', tasks }
    const code = all.some(([, { state }]) => state === 'failed') ? 'NO_WORKER' : 'STARTING'
    const message = all.map(([task, { why }]) => `${task} has no worker: ${why}`).join('; ')
    const answer = { status: 'not ready', tasks, missing, error: { code, message } }
    return reply.code(503).header('retry-after', 1).send(answer)
  })
}

function missingOf({ workers }: HttpContext): Record<string, MissingTask> {
  return Object.fromEntries([...workers.missing].map(([task, { why, ...rest }]) =>
    [task, { ...rest, why: withoutPaths(why) }]))
}
