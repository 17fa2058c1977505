/** The tasks as the interface document has them: requests in, answers out. */
import { planCarDetection } from './car-detection.js'
import { planFaceAlignment } from './face-alignment.js'
import { planFaceDetection } from './face-detection.js'
import { planHelmetDetection } from './helmet-detection.js'
import type { Planners } from './plan.js'

export const planners: Planners = {
  face_detection: planFaceDetection,
  face_alignment: planFaceAlignment,
  car_detection: planCarDetection,
  helmet_detection: planHelmetDetection,
}

export { encodeImage } from './encode-image.js'
export { parseTaskRequest } from './parse.js'
export { split } from './plan.js'
export type { Plan, Planner, Planners } from './plan.js'
export type { AnswerStyle, PostedImage, TaskRequest } from './request.js'
