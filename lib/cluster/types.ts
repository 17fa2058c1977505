/** What nodes report, and what a cloud answers about them. Types only: the client and the dashboard import them. */
import type { DeviceState } from '../host/device-state.js'

export type NodeRole = 'cloud' | 'host'

/** One worker in `service_state`; ratios are percent of the whole machine. */
export interface WorkerState {
  pid: number
  /** Name of the model. */
  model: string
  cpu_util_limit: number
  mem_util_limit: number
  cpu_ratio: number
  mem_ratio: number
  /** Requests waiting or running. */
  task_to_do: number
  /** Of the last requests, milliseconds; null before the first. */
  p50_ms: number | null
  p99_ms: number | null
}

/** What is allotted to one task. */
export interface ServiceState {
  cpu_util_limit: number
  mem_util_limit: number
  workers: WorkerState[]
}

export interface NodeStatus {
  device_state: DeviceState
  /** Tasks with a live worker, and what each is allotted. */
  service_state: Record<string, ServiceState>
}

/** How a node's status comes: `beat`: it sends heartbeats; `poll`: it is an older node, and is polled. */
export type NodeKind = 'self' | 'beat' | 'poll'

/** A node in `/nodes`. */
export interface NodeView extends NodeStatus {
  /** `ip:port`; stays the same while {@link key} may change. */
  id: string
  /** As sections 4 of the document has it: the IP, or `ip:port` where two nodes share one. */
  key: string
  ip: string
  port: number
  url: string
  role: NodeRole
  kind: NodeKind
  /** Milliseconds between heartbeats or polls; null for the node itself. */
  interval_ms: number | null
  /** Milliseconds since its last report. */
  age_ms: number
  /** Whether it missed three heartbeats: every other route leaves it out. */
  lost: boolean
}

/** A host's connection to its cloud. */
export type ConnectionState = 'not yet asked' | 'joined' | 'registered with an older cloud' | 'refused' | 'unreachable'

/** What `/nodes` answers. */
export interface ClusterView {
  role: NodeRole
  /** Of a host: its cloud. */
  upstream?: { cloud: string; standing: ConnectionState; reason?: string | undefined } | undefined
  nodes: NodeView[]
}
