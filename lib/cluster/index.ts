/** Who is in the cluster, and what each node is doing. */
export { addressTowards, isLoopback, type NodeAddress } from './address.js'
export { Cluster, type ClusterOptions, type HostOptions } from './cluster.js'
export { PeerClient, type PeerAnswer } from './peer-client.js'
export type { ExecuteUrl } from './registry.js'
export { MIN_INTERVAL_MS, MAX_INTERVAL_MS, type Heartbeat } from './heartbeat.js'
export type {
  ClusterView, ConnectionState, NodeKind, NodeRole, NodeStatus, NodeView, ServiceState, WorkerState,
} from './types.js'
