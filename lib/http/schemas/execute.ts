/** Requests and answers of the tasks, as the OpenAPI document shows them. */
import { Type, type TObject, type TProperties, type TSchema } from 'typebox'
import type { TaskName } from '../../tasks/registry.js'
import type { AnswerStyle } from '../../tasks/request.js'
import { IMAGE_TYPES } from '../body.js'
import { failures } from './common.js'

const PixelRow = Type.Array(Type.Union([
  Type.Integer({ minimum: 0, maximum: 255 }),
  Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { minItems: 1, maxItems: 3 }),
]))

const Image = Type.Union([
  Type.String({ description: 'An image file (JPEG, PNG, WebP, BMP): a Python bytes literal, base64, a data URL, or latin-1' }),
  Type.Array(PixelRow, { description: 'Pixels of an OpenCV image, H×W×3 (BGR) or H×W' }),
])
const Images = Type.Array(Image, { maxItems: 64 })
const EncodedImage = Type.String({ description: 'An image file in the form the request came in; else base64' })

const Box = Type.Array(Type.Number(), { minItems: 4, maxItems: 4, description: 'x1, y1, x2, y2, pixels of the image' })
const Boxes = Type.Array(Box)
const Scores = Type.Array(Type.Number({ minimum: 0, maximum: 1 }))
const HeadPoses = Type.Array(Type.Array(Type.Number(), {
  minItems: 6, maxItems: 6, description: 'yaw, pitch, roll (degrees), centre x, centre y, half height (pixels)',
}))
const Vehicles = Type.Array(Type.Array(Type.Number(), {
  minItems: 6, maxItems: 6, description: 'x1, y1, x2, y2, confidence, COCO class id',
}))
const Labels = Type.Array(Type.String(), { description: 'Names of the classes' })
const Counts = Type.Record(Type.String(), Type.Integer({ minimum: 0 }))
const Rendered = { image: Type.Optional(EncodedImage) }

interface TaskSchemas {
  summary: string
  request: TProperties
  /** Of one picture, by the route. */
  answers: Record<AnswerStyle, TProperties>
  /** Of one picture of an `image_list`. */
  item: TProperties
}

const faces = { bbox: Boxes, prob: Scores }
const helmets = { bbox_list: Boxes }
const helmetDetails = {
  ...helmets,
  prob: Scores,
  label: Labels,
  frame_index: Type.Array(Type.Integer({ minimum: 0 })),
}
const clipResult = {
  clip_result: Type.Array(Type.Object({ ntotal: Type.Integer(), n_no_helmet: Type.Integer() })),
}

const TASK_SCHEMAS: Readonly<Record<TaskName, TaskSchemas>> = {
  face_detection: {
    summary: 'Finds faces',
    request: { image: Type.Optional(Image), image_list: Type.Optional(Images) },
    answers: {
      old: faces,
      new: { faces: Type.Array(EncodedImage), ...faces },
      concurrent: { faces: Type.Array(EncodedImage), ...faces },
    },
    item: faces,
  },
  face_alignment: {
    summary: 'Tells where heads look',
    request: {
      image: Type.Optional(Image),
      faces: Type.Optional(Images),
      bbox: Type.Optional(Boxes),
      prob: Type.Optional(Scores),
      image_list: Type.Optional(Images),
    },
    answers: {
      old: { bbox: Boxes, head_pose: HeadPoses },
      new: { count_result: Counts, head_pose: HeadPoses, bbox: Boxes },
      concurrent: { count_result: Counts, head_pose: HeadPoses, bbox: Boxes },
    },
    item: { head_pose: HeadPoses },
  },
  car_detection: {
    summary: 'Finds vehicles and what else the model knows',
    request: { image: Type.Optional(Image), image_list: Type.Optional(Images) },
    answers: {
      old: { result: Vehicles },
      new: { result: Vehicles, label: Labels, count_result: Counts },
      concurrent: { result: Vehicles, label: Labels, count_result: Counts },
    },
    item: { result: Vehicles },
  },
  helmet_detection: {
    summary: 'Finds heads with and without hard hats',
    request: { image_list: Type.Optional(Images), clip: Type.Optional(Images), image: Type.Optional(Image) },
    answers: {
      old: { ...helmets, ...clipResult },
      new: { ...helmetDetails, ...clipResult },
      concurrent: { ...helmetDetails, ...clipResult },
    },
    item: helmets,
  },
}

const COMMON_REQUEST = {
  render: Type.Optional(Type.Boolean({ description: 'Answer the picture with its results drawn on it' })),
  timeout_ms: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: 'Milliseconds until TIMEOUT is answered' })),
  task_conf: Type.Optional(Type.Ref('TaskConf')),
}

const FILES = Type.Array(Type.String({ format: 'binary' }))

export function executeSchema(task: TaskName, style: AnswerStyle): object {
  const { summary, request } = TASK_SCHEMAS[task]
  const { image: _, ...others } = request
  return {
    tags: ['1. Tasks'],
    summary,
    querystring: Type.Object({
      render: COMMON_REQUEST.render,
      timeout_ms: COMMON_REQUEST.timeout_ms,
      ...('bbox' in others && { bbox: Type.Optional(Type.String({ description: 'Beside an image as the body: JSON' })) }),
    }),
    body: {
      content: {
        'application/json': { schema: Type.Object({ ...request, ...COMMON_REQUEST }) },
        ...Object.fromEntries(IMAGE_TYPES.map((type) => [type, { schema: Type.String({ format: 'binary' }) }])),
        'multipart/form-data': {
          schema: Type.Object({
            image: Type.Optional(FILES),
            ...('faces' in others && { faces: Type.Optional(FILES) }),
            input: Type.Optional(Type.String({ description: 'A JSON object with further members' })),
          }),
        },
      },
    },
    response: {
      200: { ...answerSchema(task, style), description: 'The results' },
      ...failures(Type.Ref('TaskFailure'), 'BAD_REQUEST', 'BAD_IMAGE', 'REQUEST_TIMEOUT', 'TOO_LARGE',
        'UNSUPPORTED_MEDIA_TYPE', 'INFERENCE', 'INTERNAL', 'NO_WORKER', 'QUEUE_FULL', 'WORKER_DIED', 'CLOSED', 'TIMEOUT'),
    },
  }
}

/** What the route answers: of one picture, or of a list. */
export function answerSchema(task: TaskName, style: AnswerStyle): TSchema {
  const { answers, item } = TASK_SCHEMAS[task]
  const listed = Type.Object({ ...item, ...Rendered })
  const single = answered({ ...answers[style], ...Rendered })
  if (task === 'helmet_detection') {
    return style === 'concurrent' ? answered({ ...answers[style], output_ctx_list: Type.Array(listed) }) : single
  }
  return Type.Union([single, answered({ output_ctx_list: Type.Array(listed) })])
}

function answered(members: TProperties): TObject {
  return Type.Object({
    ...members,
    execute_flag: Type.Literal(true),
    proc_resource_info: Type.Ref('ProcResourceInfo'),
    proc_resource_info_list: Type.Optional(Type.Array(Type.Ref('ProcResourceInfo'), {
      description: 'One entry a worker, the slowest first, where the work may be shared',
    })),
    task_conf: Type.Ref('TaskConf'),
  })
}
