/** The Open Inference Protocol, version 2, over the same workers: what clients of KServe and Triton speak. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EdgeInferError } from '../../errors.js'
import { TASK_NAMES, type TaskName } from '../../tasks/registry.js'
import { isTaskName } from '../../tasks/index.js'
import { integerIn } from '../../inference/options.js'
import type { JobRun } from '../../workers/types.js'
import { bodyKind, reclaimBody } from '../body.js'
import { sendCompressed } from '../content-coding.js'
import type { HttpContext } from '../context.js'
import { withoutPaths } from '../errors.js'
import { answerOf, configOf, jobsOf, MODEL_VERSION, PLATFORM, tensorsOf } from '../inference-protocol/models.js'
import { parseIndexRequest, parseInferenceRequest, requireOutputs } from '../inference-protocol/request.js'
import {
  allStatisticsSchema, configSchema, inferSchema, liveSchema, metadataSchema, modelReadySchema, modelSchema,
  readySchema, repositorySchema, statisticsSchema,
} from '../inference-protocol/schema.js'
import { encodeAnswer } from '../inference-protocol/tensors.js'
import { JSON_TYPE } from '../reply.js'
import { refuseWithoutWorker, runJobs, timeLeft } from '../run-jobs.js'

const SERVER = 'edge-infer'
const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics']
const JSON_LENGTH_HEADER = 'inference-header-content-length'
const MAX_TIMEOUT_MICROSECONDS = 3_600_000_000

export function inferenceProtocolRoutes(app: FastifyInstance, context: HttpContext): void {
  const { workers, metrics: { statistics } } = context
  const config = { failure: 'inference-protocol' } as const
  const isReady = (task: TaskName): boolean => workers.tasks.includes(task)

  app.get(
    '/v2', { config, schema: metadataSchema },
    () => ({ name: SERVER, version: context.version, extensions: EXTENSIONS }),
  )
  app.get('/v2/health/live', { config, schema: liveSchema }, () => ({ live: true }))
  app.get('/v2/health/ready', { config, schema: readySchema }, (_request, reply) => {
    const ready = !context.draining && workers.ready
    return reply.code(ready ? 200 : 503).send({ ready })
  })
  app.post('/v2/repository/index', { config, schema: repositorySchema }, async (request) => {
    const readyOnly = parseIndexRequest(await context.bodies.read(request, context.settings.controlBodyLimit))
    return TASK_NAMES.filter((name) => !readyOnly || isReady(name)).map((name) => {
      const reason = isReady(name) ? '' : withoutPaths(workers.missing.get(name)?.why ?? 'it has no worker')
      return { name, version: MODEL_VERSION, state: isReady(name) ? 'READY' : 'UNAVAILABLE', reason }
    })
  })

  app.get('/v2/models/stats', { config, schema: allStatisticsSchema }, () =>
    ({ model_stats: TASK_NAMES.map((task) => statistics.of(task)) }))

  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    const hide = path.endsWith(':version')
    app.get(path, { config, schema: { ...modelSchema, hide } }, (request) => {
      const name = requireModel(request)
      return { name, versions: [MODEL_VERSION], platform: PLATFORM, ...tensorsOf(name) }
    })
    app.get(`${path}/config`, { config, schema: { ...configSchema, hide } }, (request) => {
      const name = requireModel(request)
      return configOf(name, workers.workers(name))
    })
    app.get(`${path}/stats`, { config, schema: { ...statisticsSchema, hide } }, (request) =>
      ({ model_stats: [statistics.of(requireModel(request))] }))
    app.get(`${path}/ready`, { config, schema: { ...modelReadySchema, hide } }, (request, reply) => {
      const name = requireModel(request)
      const ready = isReady(name)
      return reply.code(ready ? 200 : 503).send({ name, ready })
    })
    app.post(`${path}/infer`, { config: { ...config, metric: 'infer' }, schema: {
      ...inferSchema, hide,
    } }, (request, reply) =>
      infer(context, requireModel(request), request, reply))
  }
}

function requireModel(request: FastifyRequest): TaskName {
  const { model, version = MODEL_VERSION } = request.params as { model: string; version?: string }
  const received = JSON.stringify(model.slice(0, 60))
  if (!isTaskName(model)) {
    throw new EdgeInferError('UNKNOWN_TASK', `Expected a model of ${TASK_NAMES.join(', ')} but received ${received}`)
  }
  if (version === MODEL_VERSION) return model
  const sent = JSON.stringify(version.slice(0, 60))
  throw new EdgeInferError('UNKNOWN_TASK', `Expected version ${MODEL_VERSION} of ${model} but received ${sent}`)
}

async function infer(
  context: HttpContext, task: TaskName, request: FastifyRequest, reply: FastifyReply,
): Promise<FastifyReply> {
  const { workers, bodies, settings, metrics } = context
  const { lifecycle, headers } = request
  refuseWithoutWorker(workers, task)
  bodyKind(request)
  const body = await bodies.read(request, settings.bodyLimit)
  try {
    const headLength = headers[JSON_LENGTH_HEADER]
    const { inputs: [first], outputs: all } = tensorsOf(task)
    const parsed = parseInferenceRequest(body, Array.isArray(headLength) ? headLength[0] : headLength, first)
    const outputs = requireOutputs(parsed, all.map(({ name }) => name))
    const jobs = jobsOf(task, parsed.inputs, Math.max(1, workers.count(task)))
    const microseconds = integerIn('timeout', parsed.parameters.timeout, 0, MAX_TIMEOUT_MICROSECONDS, 'BAD_REQUEST')
    const timeoutMs = microseconds ? microseconds / 1000 : undefined
    const runs = await runJobs(workers, task, jobs, lifecycle, timeLeft(timeoutMs, lifecycle))
    lifecycle.whenOver(() => metrics.observeRuns(task, runs))
    const header = { model_name: task, model_version: MODEL_VERSION, parameters: costOf(runs), id: parsed.id }
    const { body: answer, jsonLength } = encodeAnswer(header, answerOf(task, runs), outputs)
    reply.type(jsonLength === undefined ? JSON_TYPE : 'application/octet-stream')
    if (jsonLength !== undefined) reply.header(JSON_LENGTH_HEADER, jsonLength)
    return await sendCompressed(reply, headers['accept-encoding'], answer)
  } finally {
    reclaimBody(body)
  }
}

/** What the slowest worker took: seconds of its time, and its pid. */
function costOf(runs: readonly JobRun[]): Record<string, number> {
  const slowest = runs.reduce((slow, run) => run.usage.wallSeconds > slow.usage.wallSeconds ? run : slow)
  return { compute_latency: slowest.usage.wallSeconds, pid: slowest.pid }
}
