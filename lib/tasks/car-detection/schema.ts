import { Type, type Static, type TObject } from 'typebox'
import { Counts, Image, Images, Labels, numbers, type TaskSchema } from '../schema.js'

/** `[x1, y1, x2, y2, confidence, class_id]`: pixels, [0, 1], COCO class (2 is a car). */
export type WireDetection = [x1: number, y1: number, x2: number, y2: number, confidence: number, classId: number]

const vehicles = { result: Type.Array(numbers<WireDetection>(6, 'x1, y1, x2, y2, confidence, COCO class id')) }
/** `label`: the class of each; `count_result`: how many there are of each class. */
const counted = { ...vehicles, label: Labels, count_result: Counts }

export type CountedVehicles = Static<TObject<typeof counted>>

export const schema = {
  request: { image: Type.Optional(Image), image_list: Type.Optional(Images) },
  inputs: { single: [['image']], list: [['image_list']] },
  answers: { old: vehicles, new: counted, concurrent: counted },
  item: vehicles,
  clip: false,
} as const satisfies TaskSchema
