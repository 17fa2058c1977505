/** Section 1 of the interface document: the tasks. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EdgeInferError } from '../../errors.js'
import { TASK_NAMES, type TaskName } from '../../tasks/registry.js'
import type { StageTimings } from '../../native.js'
import { numberIn } from '../../inference/options.js'
import { contractOf } from '../../tasks/contracts.js'
import type { AnswerStyle } from '../../tasks/schema.js'
import type { JobRun } from '../../workers/types.js'
import type { HttpContext } from '../context.js'
import type { RequestLifecycle } from '../lifecycle.js'
import { sendJson } from '../reply.js'
import { resourceInfoList } from '../resource-info.js'
import { refuseWithoutWorker, runJobs, timeLeft } from '../run-jobs.js'
import { executeSchema } from '../schemas/execute.js'
import { readTaskRequest, reclaimImages, taskConf } from '../task-request.js'

const STYLES: Readonly<Record<string, AnswerStyle>> = {
  execute_task: 'new',
  execute_task_old: 'old',
  execute_task_new: 'new',
  concurrent_execute_task_new: 'concurrent',
}

const MAX_TIMEOUT_MS = 3_600_000

export function executeRoutes(app: FastifyInstance, context: HttpContext): void {
  for (const [path, style] of Object.entries(STYLES)) {
    for (const task of TASK_NAMES) {
      const config = { failure: 'task', task, metric: path } as const
      app.post(`/${path}/${task}`, { config, schema: executeSchema(task, style) }, (request, reply) =>
        execute(context, task, style, request, reply))
    }
    const options = { config: { failure: 'task' }, schema: { hide: true } } as const
    const unknown = (request: FastifyRequest): never => refuseTask((request.params as { task?: string }).task)
    app.post(`/${path}/:task`, options, unknown)
    app.post(`/${path}`, options, unknown)
  }
}

function refuseTask(name: string | undefined): never {
  const expected = `Expected a task of ${TASK_NAMES.join(', ')} at the end of the path`
  throw new EdgeInferError(
    'UNKNOWN_TASK', `${expected} but received ${name ? JSON.stringify(name.slice(0, 60)) : 'none'}`,
  )
}

async function execute(
  context: HttpContext, task: TaskName, style: AnswerStyle, request: FastifyRequest, reply: FastifyReply,
): Promise<FastifyReply> {
  const { workers, bodies, settings, sampler, deviceIp, metrics, rendered } = context
  const { lifecycle } = request
  refuseWithoutWorker(workers, task)
  const posted = await readTaskRequest(request, bodies, settings)
  if (rendered.includes(task)) posted.fields = { ...posted.fields, render: posted.fields.render ?? true }
  const plan = contractOf(task).plan(posted, style, Math.max(1, workers.count(task)))
  const runs = await runJobs(workers, task, plan.jobs, lifecycle, deadline(posted.fields, lifecycle))
    .finally(() => reclaimImages(posted))
  reply.header('server-timing', serverTiming(runs))
  lifecycle.whenOver(() => metrics.observeRuns(task, runs))
  return sendJson(reply, plan.answer(runs), () => {
    const allLatency = (performance.now() - lifecycle.receivedAt) / 1000
    const list = resourceInfoList(runs, sampler.capacity(), { allLatency, deviceIp })
    return {
      execute_flag: true,
      proc_resource_info: list[0],
      proc_resource_info_list: list,
      task_conf: taskConf(posted.fields, plan.resolution(runs)),
    }
  })
}

/** Milliseconds from now until the caller no longer waits. */
function deadline(fields: Readonly<Record<string, unknown>>, lifecycle: RequestLifecycle): number | undefined {
  return timeLeft(numberIn('timeout_ms', fields.timeout_ms ?? undefined, 1, MAX_TIMEOUT_MS, 'BAD_REQUEST'), lifecycle)
}

/** Milliseconds of each stage, for the header that browsers and curl show. */
function serverTiming(runs: readonly JobRun[]): string {
  const stages = Object.keys(runs[0]?.timings ?? {}) as (keyof StageTimings)[]
  return stages
    .map((stage) => `${stage};dur=${runs.reduce((sum, { timings }) => sum + timings[stage], 0).toFixed(2)}`)
    .join(', ')
}
