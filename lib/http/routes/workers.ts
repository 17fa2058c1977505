/** Sections 2 and 5 of the interface document: the tasks that can be asked for, and worker processes, more or fewer. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { ModelContextSchema } from '../../tasks/model-context.js'
import { validator } from '../../validation.js'
import type { HttpContext } from '../context.js'
import { controlRoute } from '../control.js'
import type { ModelContext } from '../../workers/types.js'
import { TaskNameSchema } from '../schemas/common.js'

const TAG = '5. Worker processes'
const Pid = Type.Integer({ description: 'Process of the worker' })

const TaskBody = Type.Object({ task_name: TaskNameSchema })
const parseTaskBody = validator(TaskBody, 'BAD_REQUEST', 'the body')
/** `model_ctx` is checked where it is used. */
const AddBody = Type.Object({ ...TaskBody.properties, model_ctx: Type.Optional(Type.Unsafe<ModelContext | null>({})) })
const parseAddBody = validator(AddBody, 'BAD_REQUEST', 'the body')

export function workersRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers, services } = context

  app.get('/get_service_list', {
    schema: {
      tags: ['2. Services'],
      summary: 'Tasks with a live worker; of a cloud: anywhere in its cluster',
      response: { 200: Type.Array(TaskNameSchema, { description: 'Names of the tasks' }) },
    },
  }, () => services())

  controlRoute(app, context, {
    url: '/add_work_process',
    tag: TAG,
    summary: 'Starts a worker; answers when it is ready',
    flag: 'create_flag',
    changesNode: true,
    body: Type.Object({ ...TaskBody.properties, model_ctx: Type.Optional(ModelContextSchema) }),
    parse: parseAddBody,
    answer: Type.Object(
      { pid: Pid, task_name: TaskNameSchema, model: Type.String() }, { description: 'The worker is ready' },
    ),
    failures: ['BAD_MODEL_CTX', 'UNKNOWN_TASK', 'UNKNOWN_MODEL', 'MODEL_LOAD', 'MODEL_DIGEST', 'MODEL_UNAVAILABLE',
      'PROVIDER_UNAVAILABLE', 'LIMIT_TOO_LOW', 'WORKER_DIED', 'CLOSED'],
    async handle({ task_name: task, model_ctx: modelContext }) {
      const { pid, model } = await workers.add(task, modelContext ?? undefined)
      return { pid, task_name: task, model }
    },
  })

  controlRoute(app, context, {
    url: '/decrease_work_process',
    tag: TAG,
    summary: "Ends the task's newest worker when it has finished what it runs; never the last one",
    flag: 'decrease_flag',
    changesNode: true,
    body: TaskBody,
    parse: parseTaskBody,
    answer: Type.Object({
      pid: Type.Optional(Type.Integer({ description: 'Process of the worker; absent: it had none yet' })),
      task_name: TaskNameSchema,
    }, { description: 'The worker has ended' }),
    failures: ['UNKNOWN_TASK', 'LAST_WORKER', 'NO_WORKER', 'STARTING', 'CLOSED'],
    async handle({ task_name: task }) {
      const { pid } = await workers.decrease(task)
      return { pid, task_name: task }
    },
  })
}
