/** The tasks, by name. */
import { isTaskName, TASK_NAMES, type TaskName } from './registry.js'
import { Detector, type DetectionThresholds } from '../inference/detector.js'
import { HeadPoseEstimator } from '../inference/head-pose.js'
import type { ModelOptions } from '../inference/model-session.js'
import { refuse } from '../inference/options.js'

export type TaskOptions = ModelOptions & DetectionThresholds

/** What {@link createTask} gives for each name. */
export interface Tasks {
  face_detection: Detector
  car_detection: Detector
  helmet_detection: Detector
  face_alignment: HeadPoseEstimator
}

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
  const task = name === 'face_alignment' ? await HeadPoseEstimator.open(options) : await Detector.open(name, options)
  return task as Tasks[Name]
}

export { isTaskName, TASK_NAMES, type TaskName } from './registry.js'
export { Detector } from '../inference/detector.js'
export type {
  BoundingBox, DetectedObject, Detections, DetectionThresholds, DetectOptions,
} from '../inference/detector.js'
export { HeadPoseEstimator, UP_PITCH } from '../inference/head-pose.js'
export type { HeadPose, HeadPoseCallOptions, HeadPoses } from '../inference/head-pose.js'
export { toNativeImage } from '../inference/image.js'
export type { ImageInput, MatLike, RawImage } from '../inference/image.js'
export type { CallOptions, ModelOptions } from '../inference/model-session.js'
