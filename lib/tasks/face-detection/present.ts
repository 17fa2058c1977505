import type { FoundObject, Mark } from '../definition.js'
import { markOf, toLists } from '../present.js'
import type { FaceBoxes } from './schema.js'

const COLOUR = '#ffd400'

export function toJson(objects: readonly FoundObject[]): Record<string, unknown> {
  const { boxes: bbox, prob, label } = toLists(objects)
  return { bbox, prob, label }
}

export function toMarks({ bbox, prob }: FaceBoxes): Mark[] {
  return bbox.map((box, index) => markOf(box, 'face', prob[index], COLOUR))
}

export function summarize({ bbox }: FaceBoxes): string {
  return `${bbox.length} faces`
}
