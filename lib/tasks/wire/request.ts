/** A request to a task, its images found and taken out of the JSON. */
import type { NativeImage, ImageEncoding } from '../../native.js'

export interface PostedImage {
  image: NativeImage
  /** How it came; images are answered in the same form. */
  encoding: ImageEncoding
}

export interface TaskRequest {
  /** Every member of the JSON but the images. */
  fields: Readonly<Record<string, unknown>>
  image: PostedImage | undefined
  /** `image_list`, or its other name `clip`. */
  imageList: readonly PostedImage[] | undefined
  faces: readonly PostedImage[] | undefined
}

/** What the routes answer: `/execute_task_old`, `/execute_task` and `/execute_task_new`, `/concurrent_execute_task_new`. */
export type AnswerStyle = 'old' | 'new' | 'concurrent'
