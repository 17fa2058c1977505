/** `proc_resource_info`: what a task cost the worker that ran it, and what it was granted, as a schema. */
import { Type, type Static } from 'typebox'
import { EFFECTIVE_LIMIT_MEMBERS } from './limits/schemas.js'

export const ProcResourceInfoSchema = Type.Object({
  ...EFFECTIVE_LIMIT_MEMBERS,
  cpu_util_use: Type.Number({
    minimum: 0, description: 'CPU time over wall time of the task, divided by the number of cores',
  }),
  mem_util_use: Type.Number({ minimum: 0, maximum: 1, description: 'Share of all memory that the worker holds' }),
  compute_latency: seconds('From when the worker began until it was done'),
  latency: seconds('The same as compute_latency'),
  pid: Type.Integer({ description: 'Process of the worker; 0 where no worker ran the task' }),
  all_latency: seconds('From the last byte of the request to the first of the answer'),
  device_ip: Type.String({ description: 'Address of the node' }),
}, {
  $id: 'ProcResourceInfo',
  description: 'What the task cost its worker, and what that may use. Shares are of the whole machine.',
})

export type ProcResourceInfo = Static<typeof ProcResourceInfoSchema>

function seconds(description: string) {
  return Type.Number({ minimum: 0, description: `${description}, seconds` })
}
