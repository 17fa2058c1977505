import { Type, type Static, type TObject } from 'typebox'
import { Boxes, Image, Images, Labels, Scores, type TaskSchema } from '../schema.js'

const boxes = { bbox_list: Boxes }
const counts = {
  clip_result: Type.Array(Type.Object({ ntotal: Type.Integer(), n_no_helmet: Type.Integer() }), {
    description: 'Heads, and heads without a helmet, of each frame',
  }),
}
const details = {
  ...boxes,
  prob: Scores,
  label: Labels,
  frame_index: Type.Array(Type.Integer({ minimum: 0, description: 'Which frame of the clip the box lies in' })),
  ...counts,
}

/** Heads in all frames of a clip. */
export type HelmetBoxes = Static<TObject<typeof boxes & typeof counts>>
/** {@link HelmetBoxes} with parallel lists of what each box is: `helmet` or `head`. */
export type HelmetDetails = Static<TObject<typeof details>>

export const schema = {
  request: { image_list: Type.Optional(Images), clip: Type.Optional(Images), image: Type.Optional(Image) },
  inputs: { single: [['image_list'], ['clip'], ['image']], list: [['image_list'], ['clip'], ['image']] },
  answers: { old: { ...boxes, ...counts }, new: details, concurrent: details },
  item: boxes,
  clip: true,
} as const satisfies TaskSchema
