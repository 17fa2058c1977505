/** What a node says of itself and of its cluster, for the OpenAPI document. */
import { Type, type TSchema } from 'typebox'
import { share } from './common.js'

const Percent = Type.Number({ minimum: 0, maximum: 100, description: 'Percent' })
const Count = Type.Integer({ minimum: 0 })
const Gigabytes = Type.Number({ minimum: 0, description: 'GB (2^30 bytes)' })
const MegabytesPerSecond = Type.Number({ minimum: 0, description: 'MB (10^6 bytes) a second' })
const Latency = Type.Union([Type.Number(), Type.Null()], {
  description: 'Of the last requests, milliseconds; null before the first',
})

function byGpu(schema: TSchema): TSchema {
  return Type.Record(Type.String(), schema, { description: "By the GPU's index; empty where there is none" })
}

export const DeviceStateSchema = Type.Object({
  cpu_ratio: Type.Array(Percent, { description: 'Percent busy, one entry a core' }),
  n_cpu: Count,
  mem_ratio: Percent,
  mem_total: Gigabytes,
  'net_ratio(MBps)': MegabytesPerSecond,
  swap_ratio: Percent,
  gpu_mem: byGpu(share('Share of its memory in use')),
  gpu_utilization: byGpu(Percent),
  gpu_mem_total: byGpu(Gigabytes),
}, { $id: 'DeviceState', description: 'What the machine is doing' })

const LIMITS = {
  cpu_util_limit: share('The most of all cores'),
  mem_util_limit: share('The most of all memory'),
}

export const ServiceStateSchema = Type.Record(Type.String(), Type.Object({
  ...LIMITS,
  workers: Type.Array(Type.Object({
    pid: Count,
    model: Type.String(),
    ...LIMITS,
    cpu_ratio: Percent,
    mem_ratio: Percent,
    task_to_do: Type.Integer({ minimum: 0, description: 'Requests waiting or running' }),
    p50_ms: Latency,
    p99_ms: Latency,
  })),
}), { $id: 'ServiceState', description: 'What is allotted to each task, and to each of its workers' })

const STATE = { device_state: Type.Ref('DeviceState'), service_state: Type.Ref('ServiceState') }
const Role = Type.Enum(['cloud', 'host'])
const Address = Type.String({ description: 'IP address' })
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })

export const NodeStateSchema = Type.Object(STATE, { $id: 'NodeState' })

export const CLUSTER_SCHEMAS: readonly TSchema[] = [DeviceStateSchema, ServiceStateSchema, NodeStateSchema]

const KEYED = "By the node's IP; by ip:port where two nodes share one"

export const SystemStatus = Type.Object({
  cloud: Type.Record(Type.String(), Type.Ref('NodeState'), { description: KEYED }),
  host: Type.Record(Type.String(), Type.Ref('NodeState'), { description: KEYED }),
}, { description: 'Every node, by its role' })

export const ClusterInfo = Type.Record(Type.String(), Type.Object({ node_role: Role, ...STATE }), { description: KEYED })

export const ExecuteUrls = Type.Record(Type.String(), Type.Object({
  url: Type.String({ description: 'Where to POST the task' }),
  bandwidth: MegabytesPerSecond,
  cpu: share('Share of the CPU that is free'),
  mem: share('Share of the memory that is free'),
  cpu_ratio: Type.Array(Percent),
  mem_ratio: Percent,
  n_cpu: Count,
}), { description: 'By ip:port' })

export const FlatStatus = Type.Object({
  cpu_ratio: Type.Number({ description: 'Percent busy, mean of all cores' }),
  n_cpu: Count,
  mem_total: Gigabytes,
  mem_ratio: Percent,
  swap_ratio: Percent,
  'net_ratio(MBps)': MegabytesPerSecond,
  gpu_mem_utilization: byGpu(share('Share of its memory in use')),
  gpu_compute_utilization: byGpu(Percent),
  gpu_mem_total: byGpu(Gigabytes),
  ...STATE,
}, { description: "This node's status in the older flat shape and in the document's" })

export const Nodes = Type.Object({
  role: Role,
  upstream: Type.Optional(Type.Object({
    cloud: Type.String({ description: 'URL of the cloud' }),
    standing: Type.String({ description: 'How this host stands with it' }),
    reason: Type.Optional(Type.String()),
  }, { description: 'Of a host' })),
  nodes: Type.Array(Type.Object({
    id: Type.String({ description: 'ip:port' }),
    key: Type.String({ description: 'As in /get_cluster_info' }),
    ip: Address,
    port: Port,
    url: Type.String(),
    role: Role,
    kind: Type.Enum(['self', 'beat', 'poll'], { description: 'poll: an older node, which is asked for its status' }),
    interval_ms: Type.Union([Type.Number(), Type.Null()], { description: 'Between two words of the node' }),
    age_ms: Type.Number({ description: 'Since its last word' }),
    lost: Type.Boolean({ description: 'It missed three, and is left out of the other answers' }),
    ...STATE,
  })),
}, { description: 'Every node that is remembered' })

export const HeartbeatBody = Type.Object({
  ip: Type.Optional(Type.String({ description: 'Address that others reach the node at; absent: the one it calls from' })),
  port: Port,
  scheme: Type.Optional(Type.Enum(['http', 'https'])),
  instance: Type.Optional(Type.String({ description: 'Anything that no other process says: 8 to 64 characters' })),
  interval_ms: Type.Optional(Type.Number({ description: 'Until the next; 2000 by default' })),
  ...STATE,
})

export const FarewellBody = Type.Object({
  ip: Type.Optional(Address),
  port: Port,
  instance: Type.Optional(Type.String()),
})

export const HeartbeatReply = Type.Object({
  joined: Type.Boolean({ description: 'Whether it was not there before' }),
  ip: Address,
}, { description: 'Heard' })

export const FarewellReply = Type.Object({ left: Type.Boolean({ description: 'Whether it was there' }) }, { description: 'Heard' })

export const RegisterReply = Type.Object({
  register_flag: Type.Literal(true),
  ip: Address,
}, { description: 'It will be asked for its status' })
