import type { TaskDefinition } from '../definition.js'
import * as present from './present.js'
import type { schema } from './schema.js'

export const definition: TaskDefinition<'face_detection', 'detection', typeof schema> = {
  name: 'face_detection',
  kind: 'detection',
  summary: 'Finds faces',
  title: 'Faces',
  purpose: 'Faces',
  models: ['ultraface-rfb-320'],
  present,
}
