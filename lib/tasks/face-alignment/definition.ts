import type { TaskDefinition } from '../definition.js'
import * as present from './present.js'
import type { schema } from './schema.js'

export const definition: TaskDefinition<'face_alignment', 'head_pose', typeof schema> = {
  name: 'face_alignment',
  kind: 'head_pose',
  summary: 'Tells where heads look',
  title: 'Head poses',
  purpose: 'Faces and where they look',
  input: 'face_detection',
  models: ['hopenet'],
  quickstart: { sample: 'faces', title: 'faces, and where they look (degrees)' },
  present,
}
