/** The tasks, by name. */
import { Detector, type DetectionThresholds } from '../inference/detector.js'
import { HeadPoseEstimator } from '../inference/head-pose.js'
import type { SessionOptions } from '../inference/model-session.js'
import { refuse } from '../inference/options.js'
import { resolveTaskModel } from './models.js'
import { isTaskOfKind, isTaskName, TASK_NAMES, type TaskName, type TaskOfKind } from './registry.js'

export interface ModelOptions extends SessionOptions {
  /** A name of the catalogue (the task's default when absent), or the path of an ONNX file. */
  model?: string | undefined
  /** Fetch the model when it is not on this machine; true unless said otherwise. */
  download?: boolean | undefined
}

export type TaskOptions = ModelOptions & DetectionThresholds

/** What {@link createTask} gives for each name. */
export type Tasks = { [Name in TaskName]: Name extends TaskOfKind<'head_pose'> ? HeadPoseEstimator : Detector }

/**
 * Loads and warms a task's model. Nothing it does afterwards blocks the event loop.
 *
 *     await using faces = await createTask('face_detection')
 *     const { objects } = await faces.run('photo.jpg')
 *
 * @throws EdgeInferError UNKNOWN_TASK, BAD_OPTION, UNKNOWN_MODEL, MODEL_UNAVAILABLE, MODEL_LOAD, MODEL_DIGEST,
 *   RUNTIME_UNAVAILABLE, PROVIDER_UNAVAILABLE.
 */
export async function createTask<Name extends TaskName>(name: Name, options: TaskOptions = {}): Promise<Tasks[Name]> {
  if (!isTaskName(name)) refuse('task', `one of ${TASK_NAMES.join(', ')}`, name, 'UNKNOWN_TASK')
  const { model, download, ...others } = options
  const Kind = isTaskOfKind('head_pose', name) ? HeadPoseEstimator : Detector
  return await Kind.open(() => resolveTaskModel(name, model, { download }), others) as Tasks[Name]
}

export { Detector } from '../inference/detector.js'
export type {
  BoundingBox, DetectedObject, Detections, DetectionThresholds, DetectOptions,
} from '../inference/detector.js'
export { HeadPoseEstimator } from '../inference/head-pose.js'
export type { HeadPose, HeadPoseCallOptions, HeadPoses } from '../inference/head-pose.js'
export { toNativeImage } from '../inference/image.js'
export type { ImageInput, MatLike, RawImage } from '../inference/image.js'
export type { CallOptions } from '../inference/model-session.js'
export { UP_PITCH } from './head-pose.js'
export { isTaskName, TASK_NAMES, type TaskName } from './registry.js'
