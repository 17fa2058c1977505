/** What nodes report, and what a cloud answers about them: the OpenAPI document shows it, the types are made of it. */
import { Type, type Static, type TSchema } from 'typebox'
import { DeviceStateSchema, FlatStatusSchema, type DeviceState } from '../host/device-state.js'
import { EFFECTIVE_LIMIT_MEMBERS } from '../workers/limits/schemas.js'

const Percent = Type.Number({ minimum: 0, maximum: 100, description: 'Percent' })
const Count = Type.Integer({ minimum: 0 })
const MegabytesPerSecond = Type.Number({ minimum: 0, description: 'MB (10^6 bytes) a second' })
const Latency = Type.Union([Type.Number(), Type.Null()], {
  description: 'Of the last requests, milliseconds; null before the first',
})

const share = (description: string) => Type.Number({ minimum: 0, maximum: 1, description })

export const Worker = Type.Object({
  pid: Count,
  model: Type.String({ description: 'Name of the model' }),
  ...EFFECTIVE_LIMIT_MEMBERS,
  cpu_ratio: Percent,
  mem_ratio: Percent,
  task_to_do: Type.Integer({ minimum: 0, description: 'Requests waiting or running' }),
  p50_ms: Latency,
  p99_ms: Latency,
})

export const Service = Type.Object({ ...EFFECTIVE_LIMIT_MEMBERS, workers: Type.Array(Worker) })

const ServiceStateSchema = Type.Record(Type.String(), Service, {
  $id: 'ServiceState', description: 'What is allotted to each task, and to each of its workers',
})

const STATE = {
  device_state: Type.Unsafe<DeviceState>(Type.Ref('DeviceState')),
  service_state: Type.Unsafe<Static<typeof ServiceStateSchema>>(Type.Ref('ServiceState')),
}
export const Role = Type.Enum(['cloud', 'host'])
const Address = Type.String({ description: 'IP address' })
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })

export const NodeStateSchema = Type.Object(STATE, { $id: 'NodeState' })

export const CLUSTER_SCHEMAS: readonly TSchema[] = [DeviceStateSchema, ServiceStateSchema, NodeStateSchema]

const KEYED = "By the node's IP; by ip:port where two nodes share one"

export const SystemStatus = Type.Object({
  cloud: Type.Record(Type.String(), Type.Ref('NodeState'), { description: KEYED }),
  host: Type.Record(Type.String(), Type.Ref('NodeState'), { description: KEYED }),
}, { description: 'Every node, by its role' })

export const ClusterInfo = Type.Record(Type.String(), Type.Object({
  node_role: Role, ...FlatStatusSchema.properties, ...STATE,
}), { description: `${KEYED}. The older flat keys and the document's` })

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
  ...FlatStatusSchema.properties, ...STATE,
}, { description: "This node's status in the older flat shape and in the document's" })

/** How a node's status comes. */
export const Kind = Type.Enum(['self', 'beat', 'poll'], {
  description: 'beat: it tells its status; poll: an older node, which is asked for it',
})

/** A host's connection to its cloud. */
export const Connection = Type.Enum([
  'not yet asked', 'joined', 'registered with an older cloud', 'refused', 'unreachable',
], {
  description: "The host's connection to it",
})

export const Node = Type.Object({
  id: Type.String({ description: 'ip:port; stays the same while key may change' }),
  key: Type.String({ description: 'As in /get_cluster_info' }),
  ip: Address,
  port: Port,
  url: Type.String(),
  role: Role,
  kind: Kind,
  interval_ms: Type.Union([Type.Number(), Type.Null()], {
    description: 'Between heartbeats or polls; null for the node itself',
  }),
  age_ms: Type.Number({ description: 'Since its last report' }),
  lost: Type.Boolean({ description: 'It missed three, and is left out of the other answers' }),
  ...STATE,
})

export const Nodes = Type.Object({
  role: Role,
  upstream: Type.Optional(Type.Object({
    cloud: Type.String({ description: 'URL of the cloud' }),
    standing: Connection,
    reason: Type.Optional(Type.String()),
  }, { description: 'Of a host' })),
  nodes: Type.Array(Node),
}, { description: 'Every node that is remembered' })

const IpAddress = Type.Union([Type.String({ format: 'ipv4' }), Type.String({ format: 'ipv6' })], {
  expected: 'an IP address', description: 'Address that others reach the node at',
})

export const DeregisterBody = Type.Object({
  ip: Type.Optional(Type.Union([...IpAddress.anyOf, Type.Null()], {
    expected: 'an IP address', description: 'Address that others reach the node at; absent: the one it calls from',
  })),
  port: Port,
  instance: Type.Optional(Type.String({
    minLength: 8,
    maxLength: 64,
    expected: 'a text of 8 to 64 characters',
    description: 'Anything that no other process says',
  })),
})

/** What a heartbeat says beside the status, whose figures are clamped, not refused. */
export const HeartbeatHead = Type.Object({
  ...DeregisterBody.properties,
  scheme: Type.Optional(Type.Enum(['http', 'https'])),
  interval_ms: Type.Optional(Type.Number({ description: 'Until the next; 2000 by default' })),
})

export const HeartbeatBody = Type.Object({ ...HeartbeatHead.properties, ...STATE })

/** A node of 2024 registers. */
export const RegisterBody = Type.Object({ device_ip: IpAddress })

/** A node of 2024 tells its status. */
export const ToldStatusBody = Type.Object({
  device_ip: IpAddress,
  device_status: Type.Object({
    device_state: Type.Unknown({ description: "As in the document, or with the older names of the GPUs' figures" }),
    service_state: Type.Optional(Type.Unknown({ description: 'The limits of each task it has' })),
  }),
})

export const HeartbeatReply = Type.Object({
  joined: Type.Boolean({ description: 'Whether it was not there before' }),
  ip: Address,
}, { description: 'Heard' })

export const DeregisterReply = Type.Object({ left: Type.Boolean({ description: 'Whether it was there' }) }, {
  description: 'Heard',
})

export const RegisterReply = Type.Object({
  register_flag: Type.Literal(true),
  ip: Address,
}, { description: 'It is in the cluster when its status is known' })

export const ServerServiceInfo = Type.Object({
  service_info_list: Type.Array(Type.Unknown(), { description: 'Empty' }),
})
