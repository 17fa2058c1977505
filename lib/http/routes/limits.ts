/** Section 6 of the interface document: what a worker, or all workers of a task, may use. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { EffectiveLimits } from '../../workers/types.js'
import type { HttpContext } from '../context.js'
import { controlGuard } from '../control-policy.js'
import { readControlRequest, requireTaskName } from '../control-request.js'
import { failures, flaggedFailure, share, TaskNameSchema } from '../schemas/common.js'

const LIMITS = {
  cpu_util_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'Share of all cores' })),
  mem_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'Share of all memory' })),
  mem_util_limit: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'The same as mem_limit' })),
  cpu_set_cpus: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }), { description: 'Cores' })),
  cpu_set_mems: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }), { description: 'Memory nodes' })),
}

const READINGS = {
  limit_flag: Type.Literal(true),
  cpu_util_limit: share('As the kernel has it now'),
  mem_util_limit: share('As the kernel has it now'),
}

const TAGS = ['6. Limits']
const SECURITY = [{ bearer: [] }]
const CODES = ['BAD_REQUEST', 'BAD_LIMIT', 'UNAUTHORIZED', 'UNKNOWN_TASK', 'LIMIT_TOO_LOW', 'CGROUP_UNAVAILABLE'] as const

export function limitsRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers, bodies, settings } = context
  const onRequest = controlGuard(context.control)

  app.post('/limit_process_resource', {
    onRequest,
    schema: {
      tags: TAGS,
      security: SECURITY,
      summary: 'Limits one worker',
      body: Type.Object({ pid: Type.Integer(), task_name: Type.Optional(TaskNameSchema), ...LIMITS }),
      response: {
        200: Type.Object({ ...READINGS, pid: Type.Integer() }, { description: 'The limits hold' }),
        ...failures(flaggedFailure('limit_flag'), ...CODES, 'UNKNOWN_PID'),
      },
    },
  }, async (request) => {
    const body = await readControlRequest(request, bodies, settings)
    return { ...answer(await workers.limitProcess(body.pid, body.task_name, body)), pid: body.pid }
  })

  app.post('/limit_task_resource', {
    onRequest,
    schema: {
      tags: TAGS,
      security: SECURITY,
      summary: "Limits all of a task's workers together, those added later too",
      body: Type.Object({ task_name: TaskNameSchema, ...LIMITS }),
      response: {
        200: Type.Object({ ...READINGS, task_name: TaskNameSchema }, { description: 'The limits hold' }),
        ...failures(flaggedFailure('limit_flag'), ...CODES),
      },
    },
  }, async (request) => {
    const body = await readControlRequest(request, bodies, settings)
    const task = requireTaskName(body)
    return { ...answer(await workers.limitTask(task, body)), task_name: task }
  })
}

function answer({ cpuUtilLimit, memUtilLimit }: EffectiveLimits): Record<string, unknown> {
  return { limit_flag: true, cpu_util_limit: cpuUtilLimit, mem_util_limit: memUtilLimit }
}
