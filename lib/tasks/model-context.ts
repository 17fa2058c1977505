/** `model_ctx` of the interface: the names existing callers use for a model and its thresholds. */
import { EdgeInferError } from '../errors.js'
import { parseDevice } from '../inference/device.js'
import type { TaskOptions } from './index.js'
import { classIds, integerIn, numberIn, refuse } from '../inference/options.js'

const CODE = 'BAD_MODEL_CTX'

/**
 * The options of a task that a `model_ctx` asks for. Keys it does not know are ignored: callers hand on whole
 * dictionaries.
 * @throws EdgeInferError BAD_MODEL_CTX
 */
export function parseModelContext(context: unknown): TaskOptions {
  if (context === undefined || context === null) return {}
  if (typeof context !== 'object' || Array.isArray(context)) refuse('model_ctx', 'an object', context, CODE)
  const { weights, device, conf_thres, iou_thres, max_det, classes, input_size, threads } = withoutNulls(context)
  if (weights !== undefined && (typeof weights !== 'string' || weights === '')) {
    refuse('weights', 'the name of a model or a path', weights, CODE)
  }
  if (device !== undefined) parseDevice(device, CODE)
  const options: TaskOptions = {
    model: weights,
    device: device as string | undefined,
    threads: integerIn('threads', threads, 1, 256, CODE),
    inputSize: parseSize(input_size),
    scoreThreshold: numberIn('conf_thres', conf_thres, 0, 1, CODE),
    iouThreshold: numberIn('iou_thres', iou_thres, 0, 1, CODE),
    maxDetections: integerIn('max_det', max_det, 1, 100_000, CODE),
    classes: classIds('classes', classes, CODE),
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function withoutNulls(context: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(context).filter(([, value]) => value !== null))
}

/** A side, or `[height, width]` as the YOLO tools write it. */
function parseSize(value: unknown): TaskOptions['inputSize'] {
  if (value === undefined) return undefined
  if (typeof value === 'number') return integerIn('input_size', value, 8, 8192, CODE)
  if (!Array.isArray(value) || value.length !== 2) {
    throw new EdgeInferError(CODE, 'Expected input_size to be a number of pixels or [height, width]')
  }
  const [height, width] = value.map((side) => integerIn('input_size', side ?? null, 8, 8192, CODE)) as [number, number]
  return { width, height }
}
