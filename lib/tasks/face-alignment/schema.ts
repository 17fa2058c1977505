import { Type, type Static, type TObject } from 'typebox'
import type { WireHeadPose } from '../head-pose.js'
import { Boxes, Image, Images, numbers, PostedBoxes, PostedScores, type TaskSchema } from '../schema.js'

const poses = {
  head_pose: Type.Array(
    numbers<WireHeadPose>(6, 'yaw, pitch, roll (degrees), centre x, centre y, half height (pixels)')),
}
const boxed = { ...poses, bbox: Boxes }
const counted = {
  count_result: Type.Object({
    up: Type.Integer({ minimum: 0, description: 'Faces whose pitch is above -10 degrees' }),
    total: Type.Integer({ minimum: 0 }),
  }),
  ...boxed,
}

export type HeadPoses = Static<TObject<typeof counted>>

export const schema = {
  request: {
    image: Type.Optional(Image),
    faces: Type.Optional(Images),
    bbox: Type.Optional(PostedBoxes),
    prob: Type.Optional(PostedScores),
    image_list: Type.Optional(Images),
  },
  inputs: { single: [['faces'], ['image', 'bbox']], list: [['image_list']] },
  answers: { old: boxed, new: counted, concurrent: counted },
  item: poses,
  clip: false,
} as const satisfies TaskSchema
