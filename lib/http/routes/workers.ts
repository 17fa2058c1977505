/** Section 5 of the interface document: worker processes, more or fewer. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { EdgeInferError } from '../../errors.js'
import { received } from '../../validation.js'
import type { ModelContext } from '../../workers/types.js'
import type { HttpContext } from '../context.js'
import { controlGuard } from '../control-policy.js'
import { readControlRequest, requireTaskName } from '../control-request.js'
import { failures, flaggedFailure, TaskNameSchema } from '../schemas/common.js'

const TAGS = ['5. Worker processes']
const SECURITY = [{ bearer: [] }]
const Pid = Type.Integer({ description: 'Process of the worker' })

const ModelContextSchema = Type.Object({
  weights: Type.Optional(Type.String({ description: 'A model of the catalogue, or a path on the node' })),
  device: Type.Optional(Type.String({ description: 'cpu, cuda:0, tensorrt:0' })),
  conf_thres: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  iou_thres: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  max_det: Type.Optional(Type.Integer({ minimum: 1 })),
  classes: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }))),
  input_size: Type.Optional(Type.Unknown({ description: 'Pixels, for models that leave their input open' })),
  threads: Type.Optional(Type.Integer({ minimum: 1 })),
}, { description: "Absent: as the task's workers have it now" })

export function workersRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers, bodies, settings } = context
  const onRequest = controlGuard(context.control)

  app.post('/add_work_process', {
    onRequest,
    schema: {
      tags: TAGS,
      security: SECURITY,
      summary: 'Starts a worker; answers when it is ready',
      body: Type.Object({ task_name: TaskNameSchema, model_ctx: Type.Optional(ModelContextSchema) }),
      response: {
        200: Type.Object({ create_flag: Type.Literal(true), pid: Pid, task_name: TaskNameSchema, model: Type.String() }, {
          description: 'The worker is ready',
        }),
        ...failures(flaggedFailure('create_flag'), 'BAD_REQUEST', 'BAD_MODEL_CTX', 'UNAUTHORIZED', 'UNKNOWN_TASK',
          'UNKNOWN_MODEL', 'MODEL_LOAD', 'MODEL_DIGEST', 'MODEL_UNAVAILABLE', 'PROVIDER_UNAVAILABLE', 'CLOSED'),
      },
    },
  }, async (request) => {
    const body = await readControlRequest(request, bodies, settings)
    const { pid, task, model } = await workers.add(requireTaskName(body), modelContext(body.model_ctx))
    return { create_flag: true, pid, task_name: task, model }
  })

  app.post('/decrease_work_process', {
    onRequest,
    schema: {
      tags: TAGS,
      security: SECURITY,
      summary: "Ends the task's newest worker when it has finished what it runs; never the last one",
      body: Type.Object({ task_name: TaskNameSchema }),
      response: {
        200: Type.Object({ decrease_flag: Type.Literal(true), pid: Pid, task_name: TaskNameSchema }, {
          description: 'The worker has ended',
        }),
        ...failures(flaggedFailure('decrease_flag'), 'BAD_REQUEST', 'UNAUTHORIZED', 'UNKNOWN_TASK', 'LAST_WORKER',
          'NO_WORKER', 'CLOSED'),
      },
    },
  }, async (request) => {
    const task = requireTaskName(await readControlRequest(request, bodies, settings))
    const { pid } = await workers.decrease(task)
    return { decrease_flag: true, pid, task_name: task }
  })
}

function modelContext(value: unknown): ModelContext | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'object' && !Array.isArray(value)) return value as ModelContext
  throw new EdgeInferError('BAD_MODEL_CTX', `Expected model_ctx to be an object but received ${received(value)}`)
}
