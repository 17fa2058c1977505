/** Requests and answers of the Open Inference Protocol, as the OpenAPI document shows them. */
import { Type } from 'typebox'
import { ELEMENT_BYTES, type DataType } from './tensors.js'
import { CODED_BODY, failures } from '../schemas/common.js'

const TAGS = ['Open Inference Protocol']

const DataTypeSchema = Type.Enum(Object.keys(ELEMENT_BYTES) as DataType[])
const Shape = Type.Array(Type.Integer({ minimum: -1 }))
const Metadata = Type.Object({ name: Type.String(), datatype: DataTypeSchema, shape: Shape })
const Parameters = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]))
const Failure = Type.Object({
  error: Type.String({ description: 'What was wrong, what was expected and what was received' }),
})
const ConfiguredTensor = Type.Object({
  name: Type.String(), data_type: Type.String(), dims: Shape, optional: Type.Optional(Type.Boolean()),
})
const DurationSchema = Type.Object({
  count: Type.Integer(), ns: Type.Integer({ description: 'Nanoseconds in all' }),
})
const COMPUTE = { compute_input: DurationSchema, compute_infer: DurationSchema, compute_output: DurationSchema }
const Ready = Type.Object({ ready: Type.Boolean() })
const ModelReady = Type.Object({ name: Type.String(), ready: Type.Boolean() })

export const metadataSchema = {
  tags: TAGS,
  summary: 'The server and the extensions it has',
  response: {
    200: Type.Object({
      name: Type.String(), version: Type.String(), extensions: Type.Array(Type.String()),
    }, { description: 'The server' }),
  },
}

export const liveSchema = {
  tags: TAGS,
  summary: 'Answers while the process lives',
  response: { 200: Type.Object({ live: Type.Boolean() }, { description: 'It lives' }) },
}

export const readySchema = {
  tags: TAGS,
  summary: 'Whether every task has a worker that is ready, and the server is not stopping',
  response: { 200: { ...Ready, description: 'Ready' }, 503: { ...Ready, description: 'Not ready' } },
}

export const modelReadySchema = {
  tags: TAGS,
  summary: 'Whether the task has a worker that is ready',
  response: {
    200: { ...ModelReady, description: 'Ready' },
    503: { ...ModelReady, description: 'Not ready' },
    ...failures(Failure, 'UNKNOWN_TASK'),
  },
}

export const modelSchema = {
  tags: TAGS,
  summary: 'The tensors of a task',
  response: {
    200: Type.Object({
      name: Type.String(),
      versions: Type.Array(Type.String()),
      platform: Type.String(),
      inputs: Type.Array(Metadata),
      outputs: Type.Array(Metadata),
    }, { description: 'The task' }),
    ...failures(Failure, 'UNKNOWN_TASK'),
  },
}

export const configSchema = {
  tags: TAGS,
  summary: 'The task as a model configuration of Triton',
  response: {
    200: Type.Object({
      name: Type.String(),
      platform: Type.String(),
      backend: Type.String(),
      max_batch_size: Type.Integer(),
      input: Type.Array(ConfiguredTensor),
      output: Type.Array(ConfiguredTensor),
      instance_group: Type.Array(Type.Object({
        name: Type.String(), kind: Type.String(), count: Type.Integer({ description: 'Workers that are ready' }),
      })),
    }, { description: 'The configuration' }),
    ...failures(Failure, 'UNKNOWN_TASK'),
  },
}

const modelStatistics = {
  200: Type.Object({
    model_stats: Type.Array(Type.Object({
      name: Type.String(),
      version: Type.String(),
      last_inference: Type.Integer({ description: 'Milliseconds since the epoch; 0: never' }),
      inference_count: Type.Integer({ description: 'Pictures' }),
      execution_count: Type.Integer({ description: 'Jobs of workers' }),
      inference_stats: Type.Object({
        success: DurationSchema, fail: DurationSchema, queue: DurationSchema, ...COMPUTE,
        cache_hit: DurationSchema, cache_miss: DurationSchema,
      }),
      batch_stats: Type.Array(Type.Object({
        batch_size: Type.Integer({ description: 'Pictures of one job' }), ...COMPUTE,
      })),
    })),
  }, { description: 'Since the server started' }),
}

export const statisticsSchema = {
  tags: TAGS,
  summary: 'What a task has done, by whichever route it was asked',
  response: { ...modelStatistics, ...failures(Failure, 'UNKNOWN_TASK') },
}

export const allStatisticsSchema = {
  tags: TAGS,
  summary: 'What the tasks have done, by whichever route they were asked',
  response: modelStatistics,
}

export const repositorySchema = {
  tags: TAGS,
  summary: 'All tasks and whether they have workers',
  body: {
    content: {
      'application/json': {
        schema: Type.Object({ ready: Type.Optional(Type.Boolean({ description: 'Tasks that are ready alone' })) }),
      },
    },
  },
  response: {
    200: Type.Array(Type.Object({
      name: Type.String(), version: Type.String(), state: Type.Enum(['READY', 'UNAVAILABLE']), reason: Type.String(),
    }), { description: 'The tasks' }),
    ...failures(Failure, 'BAD_REQUEST', 'TOO_LARGE'),
  },
}

export const inferSchema = {
  tags: TAGS,
  summary: 'Runs a task on pictures',
  headers: Type.Object({
    'inference-header-content-length': Type.Optional(Type.Integer({
      minimum: 0, description: 'Bytes of the JSON, where bytes of tensors follow it',
    })),
    ...CODED_BODY,
  }),
  body: {
    content: {
      'application/json': {
        schema: Type.Object({
          id: Type.Optional(Type.String()),
          parameters: Type.Optional(Parameters),
          inputs: Type.Array(Type.Object({
            name: Type.String(),
            datatype: DataTypeSchema,
            shape: Shape,
            parameters: Type.Optional(Parameters),
            data: Type.Optional(Type.Array(Type.Unknown(), { description: 'Picture files in base64; numbers' })),
          })),
          outputs: Type.Optional(Type.Array(Type.Object({
            name: Type.String(), parameters: Type.Optional(Parameters),
          }))),
        }),
      },
      'application/octet-stream': {
        schema: Type.String({
          format: 'binary',
          description: 'That JSON, as long as Inference-Header-Content-Length says, then the bytes of tensors',
        }),
      },
    },
  },
  response: {
    200: Type.Object({
      model_name: Type.String(),
      model_version: Type.String(),
      id: Type.Optional(Type.String()),
      parameters: Type.Object({
        compute_latency: Type.Number({ description: 'Seconds the slowest worker took' }),
        pid: Type.Integer({ description: 'Its process' }),
      }),
      outputs: Type.Array(Type.Object({
        name: Type.String(),
        datatype: DataTypeSchema,
        shape: Shape,
        parameters: Type.Optional(Parameters),
        data: Type.Optional(Type.Array(Type.Unknown())),
      })),
    }, { description: 'The results' }),
    ...failures(Failure, 'BAD_REQUEST', 'BAD_IMAGE', 'UNKNOWN_TASK', 'REQUEST_TIMEOUT', 'TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE', 'INFERENCE', 'MODEL_OUTPUT', 'INTERNAL', 'NO_WORKER', 'STARTING', 'QUEUE_FULL',
      'WORKER_DIED', 'CLOSED', 'TIMEOUT'),
  },
}
