/** What each task takes and answers over HTTP. */
import * as carDetection from './car-detection/answer.js'
import * as faceAlignment from './face-alignment/answer.js'
import * as faceDetection from './face-detection/answer.js'
import * as helmetDetection from './helmet-detection/answer.js'
import type { Planner } from './plan.js'
import type { TaskName } from './registry.js'

export const planners: Readonly<Record<TaskName, Planner>> = {
  face_detection: faceDetection.plan,
  face_alignment: faceAlignment.plan,
  car_detection: carDetection.plan,
  helmet_detection: helmetDetection.plan,
}
