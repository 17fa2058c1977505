/** One node's part in its cluster: a cloud, which knows the others, or a host, which reports to its cloud. */
import type { Logger } from 'pino'
import { EdgeInferError } from '../errors.js'
import type { Sampler } from '../host/index.js'
import { validator } from '../validation.js'
import type { WorkerService } from '../workers/index.js'
import { plainIp, type NodeAddress } from './address.js'
import { HostAgent, type HostAgentOptions } from './host-agent.js'
import { LocalStatus } from './local-status.js'
import { OldNodes } from './old-nodes.js'
import { ClusterRegistry } from './registry.js'
import { parseDeregistration, parseHeartbeat } from './heartbeat.js'
import { RegisterBody, ToldStatusBody } from './schema.js'
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
  readonly #oldNodes: OldNodes | undefined

  constructor(options: ClusterOptions) {
    const { workers, sampler, log, ip, scheme, host } = options
    const { edgePort = DEFAULT_EDGE_PORT, edgePollIntervalMs: intervalMs } = options
    this.#log = log
    this.role = host ? 'host' : 'cloud'
    this.#self = { ip, port: 0, scheme, role: this.role }
    this.local = new LocalStatus(sampler, workers)
    this.registry = new ClusterRegistry({ self: this.#self, readSelf: () => this.local.read() })
    if (host) this.#agent = new HostAgent({ ...host, self: this.#self, readStatus: () => this.local.read(), log })
    else this.#oldNodes = new OldNodes({ registry: this.registry, edgePort, intervalMs, log })
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
    const { ip: claimed, port, instance } = parseDeregistration(body)
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
    this.#oldNodes?.register(ip)
    return { ip }
  }

  /** A node of 2024 has registered. @throws EdgeInferError BAD_REQUEST */
  registerTelling(body: unknown, peer: string): { ip: string } {
    this.#requireCloud()
    const ip = plainIp(parseRegistration(body).device_ip)
    if (ip === plainIp(peer)) this.#oldNodes?.register(ip)
    return { ip }
  }

  /**
   * A node of 2024 tells its status. `ofPeerOnly`: it may tell that of its own address alone.
   * @throws EdgeInferError BAD_REQUEST, UNAUTHORIZED, ADDRESS_TAKEN, CLUSTER_FULL
   */
  recordToldStatus(body: unknown, peer: string, ofPeerOnly: boolean): { joined: boolean; ip: string } {
    this.#requireCloud()
    const { device_ip: claimed, device_status: status } = parseToldStatus(body)
    const [ip, from] = [plainIp(claimed), plainIp(peer)]
    if (ofPeerOnly && ip !== from) {
      throw new EdgeInferError('UNAUTHORIZED', `Expected device_ip to be the caller's own, ${from}, but received ${ip}`)
    }
    return { joined: this.#oldNodes?.recordStatus(ip, from, status) ?? false, ip }
  }

  /** Polls the older nodes now, in the background. */
  poll(): void {
    this.#oldNodes?.pollAll()
  }

  /** A host deregisters at its cloud; a cloud polls no more. */
  async stop(): Promise<void> {
    this.registry.stop()
    await Promise.all([this.#agent?.stop(), this.#oldNodes?.close()])
  }

  #requireCloud(): void {
    const cloud = this.#agent?.cloud
    if (cloud === undefined) return
    throw new EdgeInferError('BAD_REQUEST', `Expected a cloud but this node is a host of ${cloud}: join that`)
  }
}

const DEFAULT_EDGE_PORT = 5501
const parseRegistration = validator(RegisterBody, 'BAD_REQUEST', 'the body')
const parseToldStatus = validator(ToldStatusBody, 'BAD_REQUEST', 'the body')
