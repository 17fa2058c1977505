/**
 * The older nodes of a cloud. Those of 2022 register by a GET, and are asked for their status from then on; those of
 * 2024 register by a POST, and tell it.
 */
import type { Logger } from 'pino'
import { TASK_NAMES } from '../tasks/registry.js'
import { NO_LIMITS, toWire } from '../workers/limits/index.js'
import { urlOf, type NodeAddress } from './address.js'
import { parseStatus, TELL_INTERVAL_MS, type ReportedStatus } from './heartbeat.js'
import { PeerClient } from './peer-client.js'
import type { ClusterRegistry } from './registry.js'
import type { ServiceState } from './types.js'

/** How often the older cloud asked. */
const DEFAULT_POLL_INTERVAL_MS = 17_000
const TIMEOUT_MS = 5000
/** Polls vary by this share of the interval. */
const JITTER = 0.1
/** The largest answer of a node. */
const MAX_BYTES = 256 * 1024
/** A node that missed so many polls is removed; it registers again when it is back. */
const MAX_MISSES = 200
const MAX_NODES = 1000
/** A node is not polled again before this. */
const MIN_PAUSE_MS = 1000

interface PolledNode extends NodeAddress {
  misses: number
  timer: NodeJS.Timeout | undefined
  polling: boolean
  polledAt: number
}

export interface OldNodesOptions {
  registry: ClusterRegistry
  /** The port all older nodes listen on. */
  edgePort: number
  intervalMs?: number | undefined
  log: Logger
}

export class OldNodes {
  readonly #options: OldNodesOptions
  readonly #intervalMs: number
  readonly #peer = new PeerClient({ timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES })
  readonly #nodes = new Map<string, PolledNode>()
  #closed = false

  constructor(options: OldNodesOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? DEFAULT_POLL_INTERVAL_MS
  }

  /** A node has registered from this address. It is polled at once, in the background. */
  register(ip: string): void {
    let node = this.#nodes.get(ip)
    if (!node) {
      if (this.#nodes.size >= MAX_NODES) return
      node = {
        ip, port: this.#options.edgePort, scheme: 'http',
        misses: 0, timer: undefined, polling: false, polledAt: -Infinity,
      }
      this.#nodes.set(ip, node)
      this.#options.log.info({ ip }, 'cluster: an older node has registered')
    }
    node.misses = 0
    this.#pollSoon(node)
  }

  /**
   * A node told its status from that address. Where it names no tasks it is asked for them when it joins, in the
   * background: only by the address it called from, so that nobody has this cloud call others.
   * @throws EdgeInferError BAD_REQUEST, ADDRESS_TAKEN, CLUSTER_FULL
   */
  recordStatus(ip: string, from: string, told: ReportedStatus): boolean {
    const { registry, edgePort, log } = this.#options
    const address: NodeAddress = { ip, port: edgePort, scheme: 'http' }
    const namesTasks = told.service_state !== undefined
    const status = parseStatus(told)
    if (!namesTasks) status.service_state = registry.serviceStateOf(address) ?? {}
    const record = (): boolean =>
      registry.recordReport(address, { kind: 'beat', from, intervalMs: TELL_INTERVAL_MS, status }).joined
    const joined = record()
    if (joined) log.info({ ip, from }, 'cluster: an older node has joined')
    if (joined && !namesTasks && ip === from) {
      void this.#askServices(address).then((services) => {
        status.service_state = services
        record()
      }).catch((error: unknown) => log.debug({ ip, reason: String(error) }, 'cluster: an older node gave no tasks'))
    }
    return joined
  }

  /** Polls every node in the background. */
  pollAll(): void {
    for (const node of this.#nodes.values()) this.#pollSoon(node)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { timer } of this.#nodes.values()) clearTimeout(timer)
    await this.#peer.close()
  }

  #pollSoon(node: PolledNode): void {
    if (performance.now() - node.polledAt >= MIN_PAUSE_MS) void this.#poll(node)
  }

  /** Each node has a timer of its own, so that one that hangs delays no other. */
  async #poll(node: PolledNode): Promise<void> {
    if (node.polling || this.#closed) return
    clearTimeout(node.timer)
    node.polling = true
    node.polledAt = performance.now()
    try {
      if (!this.#options.registry.hasHeartbeat(node)) await this.#ask(node)
      else this.#nodes.delete(node.ip)
    } catch (error) {
      node.misses += 1
      this.#options.log.debug({ ip: node.ip, reason: String(error) }, 'cluster: an older node gave no status')
      if (node.misses >= MAX_MISSES) this.#nodes.delete(node.ip)
    }
    node.polling = false
    if (this.#closed || this.#nodes.get(node.ip) !== node) return
    const wait = this.#intervalMs * (1 + JITTER * (2 * Math.random() - 1)) - (performance.now() - node.polledAt)
    node.timer = setTimeout(() => void this.#poll(node), Math.max(0, wait)).unref()
  }

  async #ask(node: PolledNode): Promise<void> {
    const answer = await this.#peer.get(`${urlOf(node)}/update_client_status`)
    const body = (answer.body ?? {}) as ReportedStatus
    const status = parseStatus({ device_state: body, ...body })
    if (body.service_state === undefined) status.service_state = await this.#askServices(node)
    // It may have sent a heartbeat meanwhile.
    if (this.#closed || this.#options.registry.hasHeartbeat(node)) return
    node.misses = 0
    this.#options.registry.recordReport(node, { kind: 'poll', from: node.ip, intervalMs: this.#intervalMs, status })
  }

  /** Where a status names no tasks, a node has those whose limits it would set; without a limit it sets none. */
  async #askServices(node: NodeAddress): Promise<Record<string, ServiceState>> {
    const services = await Promise.all(TASK_NAMES.map(async (task): Promise<[string, ServiceState][]> => {
      const url = `${urlOf(node)}/limit_task_resource`
      const answer = await this.#peer.post(url, { task_name: task }, undefined).catch(() => undefined)
      const { limit_flag: flag } = (answer?.body ?? {}) as { limit_flag?: unknown }
      return flag === true ? [[task, { ...toWire(NO_LIMITS), workers: [] }]] : []
    }))
    return Object.fromEntries(services.flat())
  }
}
