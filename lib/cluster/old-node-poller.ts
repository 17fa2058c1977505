/** Polls the older nodes of a cloud: they register by a GET, and are asked for their status from then on. */
import { NO_LIMITS, toWire } from '../workers/limits/index.js'
import type { Logger } from 'pino'
import { TASK_NAMES } from '../tasks/registry.js'
import { fromFlatStatus, parseDeviceState } from '../host/index.js'
import { urlOf, type NodeAddress } from './address.js'
import { isTaskId, parseServiceState } from './heartbeat.js'
import { PeerClient } from './peer-client.js'
import type { ClusterRegistry } from './registry.js'
import type { NodeStatus, ServiceState } from './types.js'

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
const MAX_TASKS = 64
/** A node is not polled again before this. */
const MIN_PAUSE_MS = 1000

interface PolledNode extends NodeAddress {
  misses: number
  timer: NodeJS.Timeout | undefined
  polling: boolean
  polledAt: number
}

export interface PollerOptions {
  registry: ClusterRegistry
  /** The port all older nodes listen on. */
  edgePort: number
  intervalMs?: number | undefined
  log: Logger
}

export class OldNodePoller {
  readonly #options: PollerOptions
  readonly #intervalMs: number
  readonly #peer = new PeerClient({ timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES })
  readonly #nodes = new Map<string, PolledNode>()
  #closed = false

  constructor(options: PollerOptions) {
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
    const base = urlOf(node)
    const { body } = await this.#peer.get(`${base}/update_client_status`)
    const status = await this.#parseStatus(body, base)
    if (!status) throw new Error('its answer is no status')
    // It may have sent a heartbeat meanwhile.
    if (this.#closed || this.#options.registry.hasHeartbeat(node)) return
    node.misses = 0
    this.#options.registry.recordReport(node, { kind: 'poll', from: node.ip, intervalMs: this.#intervalMs, status })
  }

  async #parseStatus(body: unknown, base: string): Promise<NodeStatus | undefined> {
    const { device_state: nested, service_state: services } = (body ?? {}) as Partial<Record<keyof NodeStatus, unknown>>
    const deviceState = (nested !== undefined ? parseDeviceState(nested) : undefined) ?? fromFlatStatus(body)
    if (!deviceState) return undefined
    const known = parseServiceState(services)
    return { device_state: deviceState, service_state: services === undefined ? await this.#services(base) : known }
  }

  /** An older status names no tasks: the node is asked for them, and counts as running all where it does not answer. */
  async #services(base: string): Promise<Record<string, ServiceState>> {
    const answer = await this.#peer.get(`${base}/get_service_list`).catch(() => undefined)
    const list: readonly unknown[] = Array.isArray(answer?.body) ? answer.body : TASK_NAMES
    const tasks = list.filter(isTaskId).slice(0, MAX_TASKS)
    return Object.fromEntries(tasks.map((task) => [task, { ...toWire(NO_LIMITS), workers: [] }]))
  }
}
