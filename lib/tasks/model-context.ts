/** `model_ctx` of the interface: the names existing callers use for a model and its thresholds. */
import { Type } from 'typebox'
import { validator } from '../validation.js'
import type { TaskOptions } from './index.js'

const Share = Type.Optional(Type.Number({ minimum: 0, maximum: 1 }))
const Side = Type.Integer({ minimum: 8, maximum: 8192 })

export const DeviceSchema = Type.String({
  pattern: '^(cpu|(cuda|tensorrt)(:\\d{1,3})?)$', expected: 'cpu, cuda[:n] or tensorrt[:n]',
  description: 'cpu, cuda:0, tensorrt:0',
})

export const ModelContextSchema = Type.Object({
  weights: Type.Optional(Type.String({ minLength: 1, expected: 'the name of a model or a path',
    description: 'A model of the catalogue, or a path on the node' })),
  device: Type.Optional(DeviceSchema),
  conf_thres: Share,
  iou_thres: Share,
  max_det: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  classes: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }), {
    minItems: 1, expected: 'a list of class ids (whole numbers from 0)',
  })),
  input_size: Type.Optional(Type.Union([Side, Type.Tuple([Side, Side])], {
    expected: 'a number of pixels from 8 to 8192, or [height, width],',
    description: 'Pixels, for models that leave their input open',
  })),
  threads: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
}, { description: "Absent: as the task's workers have it now" })

const check = validator(ModelContextSchema, 'BAD_MODEL_CTX', 'model_ctx')

/**
 * The options of a task that a `model_ctx` asks for. `null` is as good as absent; keys it does not know are ignored:
 * callers hand on whole dictionaries.
 * @throws EdgeInferError BAD_MODEL_CTX
 */
export function parseModelContext(context: unknown): TaskOptions {
  if (context === undefined || context === null) return {}
  const { weights, device, conf_thres, iou_thres, max_det, classes, input_size: size, threads } = check(
    withoutNulls(context),
  )
  const options: TaskOptions = {
    model: weights,
    device,
    threads,
    inputSize: Array.isArray(size) ? { height: size[0], width: size[1] } : size,
    scoreThreshold: conf_thres,
    iouThreshold: iou_thres,
    maxDetections: max_det,
    classes,
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function withoutNulls(context: unknown): unknown {
  if (typeof context !== 'object' || Array.isArray(context)) return context
  return Object.fromEntries(Object.entries(context as object).filter(([, value]) => (value ?? null) !== null))
}
