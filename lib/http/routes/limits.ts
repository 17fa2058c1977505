/** Section 6 of the interface document: what a worker, or all workers of a task, may use. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { EffectiveLimits } from '../../workers/types.js'
import { validator } from '../../validation.js'
import type { HttpContext } from '../context.js'
import { controlRoute } from '../control.js'
import { share, TaskNameSchema } from '../schemas/common.js'

const LIMITS = {
  cpu_util_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'Share of all cores' })),
  mem_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'Share of all memory' })),
  mem_util_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'The same as mem_limit' })),
  cpu_set_cpus: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }), { description: 'Cores' })),
  cpu_set_mems: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }), { description: 'Memory nodes' })),
}

const ANSWER = {
  cpu_util_limit: share('As the kernel has it now'),
  mem_util_limit: share('As the kernel has it now'),
}

/** The limits themselves are checked where they are applied. */
const ProcessBody = Type.Object({
  pid: Type.Integer({ description: 'Process of the worker' }),
  task_name: Type.Optional(Type.Union([TaskNameSchema, Type.Null()], { code: 'UNKNOWN_TASK' })),
})
const parseProcessBody = validator(ProcessBody, 'BAD_REQUEST', 'the body')
const TaskBody = Type.Object({ task_name: TaskNameSchema })
const parseTaskBody = validator(TaskBody, 'BAD_REQUEST', 'the body')

const TAG = '6. Limits'
const CODES = ['BAD_LIMIT', 'UNKNOWN_TASK', 'LIMIT_TOO_LOW', 'CGROUP_UNAVAILABLE'] as const

export function limitsRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers } = context

  controlRoute(app, context, {
    url: '/limit_process_resource',
    summary: 'Limits one worker',
    tag: TAG,
    flag: 'limit_flag',
    changesNode: true,
    body: Type.Object({ ...ProcessBody.properties, ...LIMITS }),
    parse: parseProcessBody,
    answer: Type.Object({ ...ANSWER, pid: Type.Integer() }, { description: 'The limits hold' }),
    failures: [...CODES, 'UNKNOWN_PID'],
    async handle(body) {
      return { ...answer(await workers.limitProcess(body.pid, body.task_name, body)), pid: body.pid }
    },
  })

  controlRoute(app, context, {
    url: '/limit_task_resource',
    summary: "Limits all of a task's workers together, those added later too",
    tag: TAG,
    flag: 'limit_flag',
    changesNode: true,
    body: Type.Object({ ...TaskBody.properties, ...LIMITS }),
    parse: parseTaskBody,
    answer: Type.Object({ ...ANSWER, task_name: TaskNameSchema }, { description: 'The limits hold' }),
    failures: CODES,
    async handle(body) {
      return { ...answer(await workers.limitTask(body.task_name, body)), task_name: body.task_name }
    },
  })
}

function answer({ cpuUtilLimit, memUtilLimit }: EffectiveLimits): Record<string, unknown> {
  return { cpu_util_limit: cpuUtilLimit, mem_util_limit: memUtilLimit }
}
