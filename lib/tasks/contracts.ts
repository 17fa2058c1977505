/** What each task takes and answers over HTTP, found by the folder of its name: registry.ts stays the only list. */
import type { Planner } from './plan.js'
import { TASK_NAMES, type TaskName } from './registry.js'
import type { TaskSchema } from './schema.js'

export interface Contract {
  schema: TaskSchema
  plan: Planner
}

const contracts = new Map(await Promise.all(TASK_NAMES.map(async (name): Promise<[TaskName, Contract]> => {
  const folder = `./${name.replaceAll('_', '-')}`
  const [{ schema }, { plan }] = await Promise.all([import(`${folder}/schema.js`), import(`${folder}/answer.js`)]) as
    [Pick<Contract, 'schema'>, Pick<Contract, 'plan'>]
  return [name, { schema, plan }]
})))

export function contractOf(task: TaskName): Contract {
  return contracts.get(task) as Contract
}
