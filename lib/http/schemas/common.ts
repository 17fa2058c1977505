/** Parts of many requests and answers. */
import { Type, type TSchema } from 'typebox'
import { ERROR_TABLE, type ErrorCode } from '../../errors.js'
import { TASK_NAMES, type TaskName } from '../../tasks/registry.js'
import { TaskConfSchema } from '../../tasks/schema.js'
import { ProcResourceInfoSchema } from '../../workers/resource-info.js'
import { CONTENT_CODINGS } from '../content-coding.js'

export const TaskNameSchema = Type.Unsafe<TaskName>({
  type: 'string', enum: [...TASK_NAMES], code: 'UNKNOWN_TASK', description: 'Name of a task',
})

const ErrorSchema = Type.Object({
  code: Type.Enum(Object.keys(ERROR_TABLE) as ErrorCode[], { description: 'A stable word' }),
  message: Type.String({ description: 'What was wrong, what was expected and what was received' }),
}, { $id: 'Error' })

const TaskFailureSchema = Type.Object({
  execute_flag: Type.Literal(false),
  error: Type.Ref('Error'),
  proc_resource_info: Type.Ref('ProcResourceInfo'),
  proc_resource_info_list: Type.Array(Type.Ref('ProcResourceInfo'), { minItems: 1 }),
  task_conf: Type.Ref('TaskConf'),
}, { $id: 'TaskFailure' })

const FailureSchema = Type.Object({ error: Type.Ref('Error') }, { $id: 'Failure' })

/** Schemas that others refer to by their `$id`. */
export const SHARED_SCHEMAS: readonly TSchema[] = [
  ErrorSchema, ProcResourceInfoSchema, TaskConfSchema, TaskFailureSchema, FailureSchema,
]

/** Headers of a request whose body may be compressed. */
export const CODED_BODY = { 'content-encoding': Type.Optional(Type.Enum([...CONTENT_CODINGS])) } as const

/** The answers of refusals, by status, with what each code means. */
export function failures(schema: TSchema, ...codes: readonly ErrorCode[]): Record<number, TSchema> {
  const statuses = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const { status } = ERROR_TABLE[code]
    statuses.set(status, [...(statuses.get(status) ?? []), code])
  }
  return Object.fromEntries([...statuses].map(([status, some]) =>
    [status, { ...schema, description: some.map((code) => `${code}: ${ERROR_TABLE[code].summary}`).join('\n\n') }]))
}
