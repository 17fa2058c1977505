/** Sections 3 and 4 of the interface document for the whole cluster, how nodes join it, and the older names of both. */
import type { FastifyInstance, FastifyReply, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Cluster } from '../../cluster/index.js'
import { controlGuard, controlRoute, controlSchema, type Guard } from '../control.js'
import type { HttpContext } from '../context.js'
import { JSON_TYPE } from '../reply.js'
import {
  ClusterInfo, CLUSTER_SCHEMAS, ExecuteUrls, DeregisterBody, DeregisterReply, FlatStatus, HeartbeatBody,
  HeartbeatReply, Nodes, RegisterBody, RegisterReply, ServerServiceInfo, SystemStatus, ToldStatusBody,
} from '../../cluster/schema.js'
import { failures } from '../schemas/common.js'
import type { Routes } from './index.js'

const HEARTBEAT_LIMIT = 256 * 1024
const STATUS = '4. Status'
const CLUSTER = 'Cluster'
const OLDER_NODES = 'Older nodes'

export interface ClusterRoutesOptions {
  /** Older nodes cannot show a token: let them register without one where there is one. */
  openRegistration?: boolean | undefined
}

export function clusterRoutes(cluster: Cluster, { openRegistration = false }: ClusterRoutesOptions = {}): Routes {
  return (app, context) => {
    for (const schema of CLUSTER_SCHEMAS) app.addSchema(schema)
    app.addHook('onSend', ({ routeOptions: { config } }, _reply, _payload, done) => {
      if (config.changesNode) cluster.changed()
      done()
    })
    urlRoutes(app, cluster)
    statusRoutes(app, cluster)
    // Without a token any host may join, from wherever it calls.
    const guard = controlGuard({ token: context.control.token, open: true })
    membershipRoutes(app, context, cluster, guard)
    olderNodesRoutes(app, context, cluster, openRegistration ? undefined : guard)
  }
}

/**
 * How nodes of 2022 register (GET), and those of 2024 (POST), which then tell their status. Without a guard each can
 * speak for its own address alone.
 */
function olderNodesRoutes(
  app: FastifyInstance, context: HttpContext, cluster: Cluster, guard: Guard | undefined,
): void {
  const onRequest = guard ?? (() => Promise.resolve())
  app.get('/register_edge', {
    onRequest,
    schema: {
      ...controlSchema(
        OLDER_NODES, 'The node at the address that this call comes from is asked for its status from now on',
      ),
      response: { 200: RegisterReply, ...failures(Type.Ref('Failure'), 'BAD_REQUEST', 'UNAUTHORIZED') },
    },
  }, (request) => ({ register_flag: true, ...cluster.register(request.ip) }))
  const common = { tag: OLDER_NODES, guard: onRequest, bodyLimit: HEARTBEAT_LIMIT, parse: (body: unknown) => body }
  controlRoute(app, context, {
    ...common,
    url: '/register_edge',
    summary: 'A node that tells its status is there',
    flag: 'register_flag',
    body: RegisterBody,
    answer: Type.Omit(RegisterReply, ['register_flag']),
    failures: [],
    handle: (body, { ip }) => cluster.registerTelling(body, ip),
  })
  controlRoute(app, context, {
    ...common,
    url: '/update_client_status',
    summary: 'An older node tells its status, and joins by that',
    body: ToldStatusBody,
    answer: HeartbeatReply,
    failures: ['ADDRESS_TAKEN', 'CLUSTER_FULL'],
    handle: (body, { ip }) => cluster.recordToldStatus(body, ip, guard === undefined),
  })
  app.get('/get_server_service_info', {
    schema: { tags: [OLDER_NODES], summary: 'For nodes that ask for it', response: { 200: ServerServiceInfo } },
  }, () => ({ service_info_list: [] }))
}

function urlRoutes(app: FastifyInstance, { registry }: Cluster): void {
  app.get<{ Params: { task_name: string } }>('/get_execute_url/:task_name', {
    schema: {
      tags: ['3. URLs'],
      summary: 'Nodes with a live worker for the task',
      params: Type.Object({ task_name: Type.String() }),
      response: { 200: ExecuteUrls, ...failures(Type.Ref('Failure'), 'UNKNOWN_TASK', 'NO_WORKER') },
    },
  }, ({ params }, reply) => sendJsonBytes(reply, registry.executeUrlsJson(params.task_name)))
}

function statusRoutes(app: FastifyInstance, cluster: Cluster): void {
  const { registry, local } = cluster
  const systemStatus = (summary: string): FastifySchema => ({
    tags: [STATUS], summary, response: { 200: SystemStatus },
  })
  app.get('/get_system_status', { schema: systemStatus('Every node, by its role') },
    (_request, reply) => sendJsonBytes(reply, registry.systemStatusJson()))
  app.get('/get_cluster_info', {
    schema: { tags: [STATUS], summary: 'Every node, by its address', response: { 200: ClusterInfo } },
  }, (_request, reply) => sendJsonBytes(reply, registry.clusterInfoJson()))
  app.get('/nodes', {
    schema: {
      tags: [CLUSTER], summary: 'Every node that is remembered, with the age of its status', response: { 200: Nodes },
    },
  }, (_request, reply) => sendJsonBytes(reply, cluster.nodesJson()))

  const older = (summary: string, schema = FlatStatus as object): FastifySchema =>
    ({ tags: [OLDER_NODES], summary, response: { 200: schema } })
  const sampled = (): Record<string, unknown> => {
    local.sample()
    return local.readFlat()
  }
  app.get('/get_resource_info', { schema: older('The same as /get_system_status', SystemStatus) },
    (_request, reply) => sendJsonBytes(reply, registry.systemStatusJson()))
  app.get('/get_client_status', { schema: older('The last status of this node') }, () => local.readFlat())
  app.get('/update_client_status', { schema: older('Samples this node now') }, sampled)
  app.get('/update_server_status', { schema: older('Samples this node now') }, sampled)
  app.get('/update_clients_status', {
    schema: older('Has the older nodes asked now, in the background; answers as /get_system_status', SystemStatus),
  }, (_request, reply) => {
    cluster.poll()
    return sendJsonBytes(reply, registry.systemStatusJson())
  })
}

function membershipRoutes(app: FastifyInstance, context: HttpContext, cluster: Cluster, guard: Guard): void {
  const common = { tag: CLUSTER, guard, bodyLimit: HEARTBEAT_LIMIT, parse: (body: unknown) => body }
  controlRoute(app, context, {
    ...common,
    url: '/cluster/heartbeat',
    summary: 'A host tells of itself, and joins by that',
    body: HeartbeatBody,
    answer: HeartbeatReply,
    failures: ['ADDRESS_TAKEN', 'CLUSTER_FULL'],
    handle: (body, { ip }) => cluster.recordHeartbeat(body, ip),
  })
  controlRoute(app, context, {
    ...common,
    url: '/cluster/leave',
    summary: 'A host leaves',
    body: DeregisterBody,
    answer: DeregisterReply,
    failures: [],
    handle: (body, { ip }) => ({ left: cluster.deregister(body, ip) }),
  })
}

/** Schemas for the document are of the value; these bytes are its JSON already. */
function sendJsonBytes(reply: FastifyReply, json: Buffer): FastifyReply {
  return reply.type(JSON_TYPE).send(json)
}
