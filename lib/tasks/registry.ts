/**
 * Every task this program knows; nothing else lists them. What a task is stands in the folder of its name:
 * `definition.ts`, `schema.ts`, `answer.ts` and `present.ts`.
 */
import { definition as carDetection } from './car-detection/definition.js'
import type { TaskDefinition, TaskKind } from './definition.js'
import { definition as faceAlignment } from './face-alignment/definition.js'
import { definition as faceDetection } from './face-detection/definition.js'
import { definition as helmetDetection } from './helmet-detection/definition.js'

export type { WireDetection } from './car-detection/schema.js'
export type { FaceBoxes } from './face-detection/schema.js'
export type { WireHeadPose } from './head-pose.js'
export type { HelmetBoxes, HelmetDetails } from './helmet-detection/schema.js'

/** In the order people see them. */
const DEFINITIONS = [faceDetection, faceAlignment, carDetection, helmetDetection] as const

type Definition = (typeof DEFINITIONS)[number]
export type TaskName = Definition['name']
/** Names of the tasks of a kind. */
export type TaskOfKind<Kind extends TaskKind> = Extract<Definition, { kind: Kind }>['name']
/** The type of each task's `schema.ts`. */
export type TaskSchemas = { [Name in TaskName]: NonNullable<Extract<Definition, { name: Name }>['schema']> }

export const TASKS: readonly TaskDefinition<TaskName>[] = DEFINITIONS
export const TASK_NAMES: readonly TaskName[] = TASKS.map(({ name }) => name)

export function isTaskName(name: unknown): name is TaskName {
  return (TASK_NAMES as readonly unknown[]).includes(name)
}

export function definitionOf(name: TaskName): TaskDefinition<TaskName> {
  return TASKS.find((task) => task.name === name) as TaskDefinition<TaskName>
}

export function tasksOfKind<Kind extends TaskKind>(kind: Kind): TaskOfKind<Kind>[] {
  return DEFINITIONS.filter((task) => task.kind === kind).map(({ name }) => name) as TaskOfKind<Kind>[]
}

export function isTaskOfKind<Kind extends TaskKind>(kind: Kind, name: TaskName): name is TaskOfKind<Kind> {
  return definitionOf(name).kind === kind
}

/** Whether another task starts from its answer. */
export function feedsAnother(name: TaskName): boolean {
  return TASKS.some(({ input }) => input === name)
}

/** The tasks a whole picture goes through, one after the other, for the results of the last. */
export function pipelineOf(name: TaskName): TaskName[] {
  const { input } = definitionOf(name)
  return isTaskName(input) ? [...pipelineOf(input), name] : [name]
}
