/** Who is in the cluster, and what each node is doing. */
export { addressTowards, isLoopback, type NodeAddress } from './address.js'
export { Cluster, DEFAULT_EDGE_PORT, type ClusterOptions, type HostOptions } from './cluster.js'
export { PeerClient, type PeerAnswer } from './http.js'
export { DEFAULT_POLL_INTERVAL_MS } from './poller.js'
export type { ExecuteUrl } from './registry.js'
export { DEFAULT_INTERVAL_MS, MIN_INTERVAL_MS, MAX_INTERVAL_MS, type Heartbeat } from './status.js'
export type {
  ClusterView, NodeKind, NodeRole, NodeStatus, NodeView, ServiceState, Standing, WorkerState,
} from './types.js'
