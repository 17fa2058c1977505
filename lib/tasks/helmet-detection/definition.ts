import type { TaskDefinition } from '../definition.js'
import * as present from './present.js'
import { BARE_HEAD } from './present.js'
import type { schema } from './schema.js'

export const definition: TaskDefinition<'helmet_detection', 'detection', typeof schema> = {
  name: 'helmet_detection',
  kind: 'detection',
  summary: 'Finds heads with and without hard hats',
  title: 'Helmets',
  purpose: 'Hard hats',
  models: ['helmet-yolox'],
  countedClass: BARE_HEAD,
  present,
}
