/** One node's part in its cluster: a cloud, which knows the others, or a host, which reports to its cloud. */
import type { Logger } from 'pino'
import { EdgeInferError } from '../errors.js'
import type { Sampler } from '../host/index.js'
import type { WorkerService } from '../workers/index.js'
import { plainIp, type NodeAddress } from './address.js'
import { HostAgent, type HostAgentOptions } from './host-agent.js'
import { LocalStatus } from './local-status.js'
import { OldNodePoller } from './old-node-poller.js'
import { ClusterRegistry } from './registry.js'
import { parseAddress, parseHeartbeat } from './heartbeat.js'
import type { ClusterView, NodeRole } from './types.js'

/** What makes a node a host. */
export type HostOptions = Pick<HostAgentOptions, 'cloud' | 'token' | 'ca' | 'intervalMs' | 'localAddress'>

export interface ClusterOptions {
  workers: WorkerService
  sampler: Sampler
  log: Logger
  /** As others reach this node; its port is known when it listens. */
  ip: string
  scheme: NodeAddress['scheme']
  /** Absent: this node is a cloud. */
  host?: HostOptions | undefined
  /** Of a cloud: the port that older nodes listen on. */
  edgePort?: number | undefined
  /** Of a cloud: milliseconds between polls of an older node. */
  edgePollIntervalMs?: number | undefined
}

export class Cluster {
  readonly role: NodeRole
  readonly local: LocalStatus
  readonly registry: ClusterRegistry
  readonly #log: Logger
  readonly #self: NodeAddress & { role: NodeRole }
  readonly #agent: HostAgent | undefined
  readonly #poller: OldNodePoller | undefined

  constructor(options: ClusterOptions) {
    const { workers, sampler, log, ip, scheme, host } = options
    const { edgePort = DEFAULT_EDGE_PORT, edgePollIntervalMs: intervalMs } = options
    this.#log = log
    this.role = host ? 'host' : 'cloud'
    this.#self = { ip, port: 0, scheme, role: this.role }
    this.local = new LocalStatus(sampler, workers)
    this.registry = new ClusterRegistry({ self: this.#self, readSelf: () => this.local.read() })
    if (host) this.#agent = new HostAgent({ ...host, self: this.#self, readStatus: () => this.local.read(), log })
    else this.#poller = new OldNodePoller({ registry: this.registry, edgePort, intervalMs, log })
  }

  /** Of a host: its cloud, and the state of the connection to it. */
  get upstream(): ClusterView['upstream'] {
    if (!this.#agent) return undefined
    const { cloud, connectionState: standing, reason } = this.#agent
    return { cloud, standing, ...(reason !== undefined && { reason }) }
  }

  /** JSON of `/nodes`: every node in the registry, and a host's connection to its cloud. */
  nodesJson(): Buffer {
    const head = JSON.stringify({ role: this.role, upstream: this.upstream }).slice(0, -1)
    return Buffer.concat([Buffer.from(`${head},"nodes":`), this.registry.nodesJson(), Buffer.from('}')])
  }

  /** The node is reached at that port from now on; a host joins. */
  start(port: number): void {
    this.#self.port = port
    this.changed()
    this.#agent?.start()
  }

  /** Workers or limits of this node have changed. */
  changed(): void {
    this.local.expire()
    this.registry.expire()
  }

  /** A host reports its status. @throws EdgeInferError BAD_REQUEST, ADDRESS_TAKEN, CLUSTER_FULL */
  recordHeartbeat(body: unknown, peer: string): { joined: boolean; ip: string } {
    this.#requireCloud()
    const { ip: claimed, port, scheme, instance, interval_ms: intervalMs, ...status } = parseHeartbeat(body)
    const from = plainIp(peer)
    const ip = plainIp(claimed ?? from)
    const report = { kind: 'beat', from, instance, intervalMs, status } as const
    const { joined } = this.registry.recordReport({ ip, port, scheme }, report)
    if (joined) this.#log.info({ ip, port, from }, 'cluster: a host has joined')
    return { joined, ip }
  }

  /** A host leaves the cluster. @throws EdgeInferError BAD_REQUEST */
  deregister(body: unknown, peer: string): boolean {
    this.#requireCloud()
    const { ip: claimed, port, instance } = parseAddress(body)
    const from = plainIp(peer)
    const ip = plainIp(claimed ?? from)
    const left = this.registry.deregister({ ip, port }, { from, instance })
    if (left) this.#log.info({ ip, port }, 'cluster: a host has left')
    return left
  }

  /** An older node has registered. @throws EdgeInferError BAD_REQUEST */
  register(peer: string): { ip: string } {
    this.#requireCloud()
    const ip = plainIp(peer)
    this.#poller?.register(ip)
    return { ip }
  }

  /** Polls the older nodes now, in the background. */
  poll(): void {
    this.#poller?.pollAll()
  }

  /** A host deregisters at its cloud; a cloud polls no more. */
  async stop(): Promise<void> {
    this.registry.stop()
    await Promise.all([this.#agent?.stop(), this.#poller?.close()])
  }

  #requireCloud(): void {
    const cloud = this.#agent?.cloud
    if (cloud === undefined) return
    throw new EdgeInferError('BAD_REQUEST', `Expected a cloud but this node is a host of ${cloud}: join that`)
  }
}

const DEFAULT_EDGE_PORT = 5501
