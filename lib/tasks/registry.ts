/** Every task this program knows. */
import { TASK_NAMES, type TaskName } from '../models/types.js'

export { TASK_NAMES, type TaskName }

export function isTaskName(name: unknown): name is TaskName {
  return (TASK_NAMES as readonly unknown[]).includes(name)
}
