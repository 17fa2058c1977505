/** Parts of many requests and answers. */
import { Type, type TSchema } from 'typebox'
import { ERROR_TABLE, type ErrorCode } from '../../errors.js'
import { TASK_NAMES, type TaskName } from '../../tasks/registry.js'
import { TaskConfSchema } from '../../tasks/schema.js'
import { EFFECTIVE_LIMIT_MEMBERS } from '../../workers/limits/index.js'

export const TaskNameSchema = Type.Unsafe<TaskName>({
  type: 'string', enum: [...TASK_NAMES], code: 'UNKNOWN_TASK', description: 'Name of a task',
})

const ErrorSchema = Type.Object({
  code: Type.Enum(Object.keys(ERROR_TABLE) as ErrorCode[], { description: 'A stable word' }),
  message: Type.String({ description: 'What was wrong, what was expected and what was received' }),
}, { $id: 'Error' })

const ProcResourceInfoSchema = Type.Object({
  ...EFFECTIVE_LIMIT_MEMBERS,
  cpu_util_use: Type.Number({ minimum: 0, description: 'Share of all cores that it used while it ran the task' }),
  mem_util_use: Type.Number({ minimum: 0, maximum: 1, description: 'Share of all memory that it holds' }),
  compute_latency: seconds('From when the worker began until it was done'),
  latency: seconds('The same as compute_latency'),
  pid: Type.Integer({ description: 'Process of the worker; 0 where no worker ran the task' }),
  all_latency: seconds('From the last byte of the request to the first of the answer'),
  device_ip: Type.String({ description: 'Address of the node' }),
}, { $id: 'ProcResourceInfo', description: 'What the task cost its worker, and what that may use. Shares are of the whole machine.' })

const TaskFailureSchema = Type.Object({
  execute_flag: Type.Literal(false),
  error: Type.Ref('Error'),
  proc_resource_info: Type.Ref('ProcResourceInfo'),
  task_conf: Type.Ref('TaskConf'),
}, { $id: 'TaskFailure' })

const FailureSchema = Type.Object({ error: Type.Ref('Error') }, { $id: 'Failure' })

/** Schemas that others refer to by their `$id`. */
export const SHARED_SCHEMAS: readonly TSchema[] = [
  ErrorSchema, ProcResourceInfoSchema, TaskConfSchema, TaskFailureSchema, FailureSchema,
]

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

function seconds(description: string): TSchema {
  return Type.Number({ minimum: 0, description: `${description}, seconds` })
}
