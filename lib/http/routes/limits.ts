/** Section 6 of the interface document: what a worker, or all workers of a task, may use. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { validator } from '../../validation.js'
import { EFFECTIVE_LIMIT_MEMBERS, LIMIT_MEMBERS, toWire } from '../../workers/limits/index.js'
import type { HttpContext } from '../context.js'
import { controlRoute } from '../control.js'
import { TaskNameSchema } from '../schemas/common.js'

/** The limits themselves are checked where they are applied. */
const ProcessBody = Type.Object({
  pid: Type.Integer({ description: 'Process of the worker' }),
  task_name: Type.Optional(Type.Union([TaskNameSchema, Type.Null()], { code: 'UNKNOWN_TASK' })),
})
const parseProcessBody = validator(ProcessBody, 'BAD_REQUEST', 'the body')
const TaskBody = Type.Object({ task_name: TaskNameSchema })
const parseTaskBody = validator(TaskBody, 'BAD_REQUEST', 'the body')

const TAG = '6. Limits'
/** Of LIMIT_TOO_LOW. */
const refusal = {
  applied: Type.Optional(Type.Array(Type.String(), { description: 'Limits of the same request that were set' })),
}
const CODES = ['BAD_LIMIT', 'UNKNOWN_TASK', 'LIMIT_TOO_LOW', 'CGROUP_UNAVAILABLE'] as const

export function limitsRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers } = context

  controlRoute(app, context, {
    url: '/limit_process_resource',
    summary: 'Limits one worker',
    tag: TAG,
    flag: 'limit_flag',
    changesNode: true,
    body: Type.Object({ ...ProcessBody.properties, ...LIMIT_MEMBERS }),
    parse: parseProcessBody,
    answer: Type.Object({ ...EFFECTIVE_LIMIT_MEMBERS, pid: Type.Integer() }, { description: 'The limits hold' }),
    failures: [...CODES, 'UNKNOWN_PID'],
    refusal,
    async handle(body) {
      return { ...toWire(await workers.limitProcess(body.pid, body.task_name, body)), pid: body.pid }
    },
  })

  controlRoute(app, context, {
    url: '/limit_task_resource',
    summary: "Limits all of a task's workers together, those added later too",
    tag: TAG,
    flag: 'limit_flag',
    changesNode: true,
    body: Type.Object({ ...TaskBody.properties, ...LIMIT_MEMBERS }),
    parse: parseTaskBody,
    answer: Type.Object({ ...EFFECTIVE_LIMIT_MEMBERS, task_name: TaskNameSchema }, { description: 'The limits hold' }),
    failures: CODES,
    refusal,
    async handle(body) {
      return { ...toWire(await workers.limitTask(body.task_name, body)), task_name: body.task_name }
    },
  })
}
