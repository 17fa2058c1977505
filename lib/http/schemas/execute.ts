/** The routes of the tasks in the OpenAPI document, round the schemas of `lib/tasks`. */
import { Type } from 'typebox'
import { contractOf } from '../../tasks/contracts.js'
import { definitionOf, type TaskName } from '../../tasks/registry.js'
import { answerSchema, COMMON_REQUEST, type AnswerStyle } from '../../tasks/schema.js'
import { IMAGE_TYPES } from '../body.js'
import { CODED_BODY, failures } from './common.js'

const FILES = Type.Array(Type.String({ format: 'binary' }))

export function executeSchema(task: TaskName, style: AnswerStyle): object {
  const { schema } = contractOf(task)
  const { request } = schema
  return {
    tags: ['1. Tasks'],
    summary: definitionOf(task).summary,
    querystring: Type.Object({
      render: COMMON_REQUEST.render,
      timeout_ms: COMMON_REQUEST.timeout_ms,
      ...('bbox' in request && { bbox: Type.Optional(Type.String({
        description: 'Beside an image as the body: JSON',
      })) }),
    }),
    headers: Type.Object(CODED_BODY),
    body: {
      content: {
        'application/json': { schema: Type.Object({ ...request, ...COMMON_REQUEST }) },
        ...Object.fromEntries(IMAGE_TYPES.map((type) => [type, { schema: Type.String({ format: 'binary' }) }])),
        'multipart/form-data': {
          schema: Type.Object({
            image: Type.Optional(FILES),
            ...('faces' in request && { faces: Type.Optional(FILES) }),
            input: Type.Optional(Type.String({ description: 'A JSON object with further members' })),
          }),
        },
      },
    },
    response: {
      200: { ...answerSchema(schema, style), description: 'The results' },
      ...failures(Type.Ref('TaskFailure'), 'BAD_REQUEST', 'BAD_IMAGE', 'REQUEST_TIMEOUT', 'TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE', 'INFERENCE', 'MODEL_OUTPUT', 'INTERNAL', 'NO_WORKER', 'STARTING', 'QUEUE_FULL',
        'WORKER_DIED', 'CLOSED', 'TIMEOUT'),
    },
  }
}
