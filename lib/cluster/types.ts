/** What nodes report, and what a cloud answers about them. Types only: the client and the dashboard import them. */
import type { Static } from 'typebox'
import type { Connection, Kind, Node, Nodes, NodeStateSchema, Role, Service, Worker } from './schema.js'

export type NodeRole = Static<typeof Role>
export type NodeKind = Static<typeof Kind>
export type ConnectionState = Static<typeof Connection>
/** One worker in `service_state`; ratios are percent of the whole machine. */
export type WorkerState = Static<typeof Worker>
/** What is allotted to one task. */
export type ServiceState = Static<typeof Service>
export type NodeStatus = Static<typeof NodeStateSchema>
/** A node in `/nodes`. */
export type NodeView = Static<typeof Node>
/** What `/nodes` answers. */
export type ClusterView = Static<typeof Nodes>
