/**
 * Parts of what tasks take and answer. The schemas are the only statement of the contract: the OpenAPI document shows
 * them and the client's types are their types; no request is validated by them.
 */
import { Type, type Static, type TObject, type TProperties, type TSchema } from 'typebox'
import type { BoundingBox } from '../inference/bounding-box.js'

/** What the routes answer: `/execute_task_old`, `/execute_task` and `…_new`, `/concurrent_execute_task_new`. */
export type AnswerStyle = 'old' | 'new' | 'concurrent'

/** What one task takes and answers. */
export interface TaskSchema {
  /** Members of a request that are this task's own. */
  request: TProperties
  /** Members that make an input together, one list an alternative: for one answer, and for one answer a picture. */
  inputs: { single: readonly (readonly string[])[]; list: readonly (readonly string[])[] }
  /** The task's own members of an answer, by the route. */
  answers: Readonly<Record<AnswerStyle, TProperties>>
  /** Of one picture in `output_ctx_list`, the answer of a list. */
  item: TProperties
  /** Whether a list is one clip, answered like a picture on every route; the concurrent one adds `output_ctx_list`. */
  clip: boolean
}

const PixelRow = Type.Array(Type.Union([
  Type.Integer({ minimum: 0, maximum: 255 }),
  Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { minItems: 1, maxItems: 3 }),
]))

export const Image = Type.Union([
  Type.String({
    description: 'An image file (JPEG, PNG, WebP, BMP): a Python bytes literal, base64, a data URL, or latin-1',
  }),
  Type.Array(PixelRow, { description: 'Pixels of an OpenCV image, H×W×3 (BGR) or H×W' }),
])
/** Pictures in order. */
export const Images = Type.Array(Image, { maxItems: 64 })
export const EncodedImage = Type.String({ description: 'An image file in the form the request came in; else base64' })

const Box = numbers<BoundingBox>(4, 'x1, y1, x2, y2, pixels of the image')
export const Boxes = Type.Array(Box)
/** Of a request: callers that kept a score with its box send five numbers. */
export const PostedBoxes = Type.Unsafe<readonly (readonly number[])[]>(Boxes)

export const Scores = Type.Array(Type.Number({ minimum: 0, maximum: 1 }))
export const PostedScores = Type.Unsafe<readonly number[]>(Scores)
export const Labels = Type.Array(Type.String(), { description: 'Names of the classes' })
export const Counts = Type.Record(Type.String(), Type.Integer({ minimum: 0 }))

/** A list of so many numbers, each with a meaning of its own. */
export function numbers<Tuple extends number[]>(count: Tuple['length'], description: string) {
  return Type.Unsafe<Tuple>(Type.Array(Type.Number(), { minItems: count, maxItems: count, description }))
}

export const TaskConfSchema = Type.Object({
  fps: Type.Union([Type.Number(), Type.Null()]),
  resolution: Type.Object({
    w: Type.Union([Type.Number(), Type.Null()]),
    h: Type.Union([Type.Number(), Type.Null()]),
  }),
}, { $id: 'TaskConf', description: "The request's own; the resolution is filled in from its image" })
export type TaskConf = Static<typeof TaskConfSchema>

/** Members that every request may have. */
export const COMMON_REQUEST = {
  render: Type.Optional(Type.Boolean({ description: 'Answer the picture with its results drawn on it' })),
  timeout_ms: Type.Optional(Type.Number({
    exclusiveMinimum: 0, description: 'Milliseconds until TIMEOUT is answered',
  })),
  task_conf: Type.Optional(Type.Ref('TaskConf')),
}

/** The picture with its results drawn on it, where `render`, the older form of a request or the server asked for it. */
const Rendered = { image: Type.Optional(EncodedImage) }

const ResourceInfo = Type.Ref('ProcResourceInfo')

/** Members that every answer has. What a worker spent and may spend is described where limits are. */
const ENVELOPE = {
  execute_flag: Type.Literal(true),
  proc_resource_info: ResourceInfo,
  proc_resource_info_list: Type.Array(ResourceInfo, {
    minItems: 1, description: 'One entry a worker, the slowest first',
  }),
  task_conf: Type.Ref('TaskConf'),
}

/** What a route answers: of one picture, or of a list. */
export function answerSchema({ answers, item, clip }: TaskSchema, style: AnswerStyle): TSchema {
  const list = { output_ctx_list: Type.Array(Type.Object({ ...item, ...Rendered })) }
  const single = { ...answers[style], ...Rendered }
  if (clip) return answered(style === 'concurrent' ? { ...single, ...list } : single)
  return Type.Union([answered(single), answered(list)])
}

function answered(members: TProperties): TObject {
  return Type.Object({ ...members, ...ENVELOPE })
}
