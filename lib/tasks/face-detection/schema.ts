import { Type, type Static, type TObject } from 'typebox'
import { Boxes, EncodedImage, Image, Images, Scores, type TaskSchema } from '../schema.js'

const faces = { bbox: Boxes, prob: Scores }
/** `faces`: a picture of each, ready to be posted to face_alignment. */
const withCrops = { faces: Type.Array(EncodedImage), ...faces }

/** Faces of one picture; lists run parallel, best first. */
export type FaceBoxes = Static<TObject<typeof faces>>

export const schema = {
  request: { image: Type.Optional(Image), image_list: Type.Optional(Images) },
  inputs: { single: [['image']], list: [['image_list']] },
  answers: { old: faces, new: withCrops, concurrent: withCrops },
  item: faces,
  clip: false,
} as const satisfies TaskSchema
