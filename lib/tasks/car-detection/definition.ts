import type { TaskDefinition } from '../definition.js'
import * as present from './present.js'
import type { schema } from './schema.js'

export const definition: TaskDefinition<'car_detection', 'detection', typeof schema> = {
  name: 'car_detection',
  kind: 'detection',
  summary: 'Finds vehicles and what else the model knows',
  title: 'Vehicles',
  purpose: 'Vehicles and other objects',
  models: ['yolov8n'],
  quickstart: { sample: 'car', title: 'cars, and 79 other kinds of things' },
  present,
}
