/** The cloud's side of the older nodes: they register by a GET, and are asked for their status from then on. */
import type { Logger } from 'pino'
import { TASK_NAMES } from '../models/index.js'
import { fromFlatStatus, parseDeviceState } from '../node/index.js'
import { PeerClient } from './http.js'
import type { ClusterRegistry, NodeAddress } from './registry.js'
import type { NodeStatus } from './status.js'

/** How often the older cloud asked. */
const DEFAULT_INTERVAL_MS = 17_000
const TIMEOUT_MS = 5000
/** Nodes asked at once. */
const CONCURRENCY = 16
/** Polls without an answer after which a node is no longer asked; it registers again when it is back. */
const GIVE_UP_AFTER = 200
const MOST_NODES = 1000

interface PolledNode extends NodeAddress {
  misses: number
  /** What it last said, as it said it: `/get_client_status` hands it on. */
  raw: unknown
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
  readonly #peer = new PeerClient({ timeoutMs: TIMEOUT_MS })
  readonly #nodes = new Map<string, PolledNode>()
  readonly #timer: NodeJS.Timeout

  constructor(options: PollerOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS
    this.#timer = setInterval(() => void this.pollAll(), this.#intervalMs)
    this.#timer.unref()
  }

  /** A node has registered from this address. It is asked at once; nobody waits for its answer. */
  register(ip: string): void {
    if (!this.#nodes.has(ip) && this.#nodes.size >= MOST_NODES) return
    const node: PolledNode = { ip, port: this.#options.edgePort, scheme: 'http', misses: 0, raw: undefined }
    this.#nodes.set(ip, node)
    this.#options.log.info({ ip }, 'cluster: an older node has registered')
    void this.#poll(node)
  }

  /** What each older node last said, by its IP. */
  lastAnswers(): Record<string, unknown> {
    return Object.fromEntries([...this.#nodes.values()].map(({ ip, raw }) => [ip, raw ?? {}]))
  }

  /** Asks every node; resolves when each has answered or failed. */
  async pollAll(): Promise<void> {
    const waiting = [...this.#nodes.values()]
    const next = async (): Promise<void> => {
      for (let node = waiting.shift(); node; node = waiting.shift()) await this.#poll(node)
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, next))
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#peer.close()
  }

  async #poll(node: PolledNode): Promise<void> {
    const base = `http://${node.ip.includes(':') ? `[${node.ip}]` : node.ip}:${node.port}`
    try {
      const { body } = await this.#peer.get(`${base}/update_client_status`)
      const status = await this.#understand(body, base)
      if (!status) throw new Error('its answer is no status')
      node.misses = 0
      node.raw = body
      this.#options.registry.hear(node, 'poll', this.#intervalMs, status)
    } catch (error) {
      node.misses += 1
      this.#options.log.debug({ ip: node.ip, reason: String(error) }, 'cluster: an older node gave no status')
      if (node.misses >= GIVE_UP_AFTER) this.#nodes.delete(node.ip)
    }
  }

  async #understand(body: unknown, base: string): Promise<NodeStatus | undefined> {
    const nested = (body as { device_state?: unknown } | undefined)?.device_state
    const deviceState = (nested !== undefined ? parseDeviceState(nested) : undefined) ?? fromFlatStatus(body)
    if (!deviceState) return undefined
    const tasks = await this.#tasks(base)
    const unlimited = { cpu_util_limit: 1, mem_util_limit: 1, workers: [] }
    return { device_state: deviceState, service_state: Object.fromEntries(tasks.map((task) => [task, unlimited])) }
  }

  /** An older status does not name the node's tasks: it is asked, and is taken to run all of them where it is silent. */
  async #tasks(base: string): Promise<string[]> {
    const answer = await this.#peer.get(`${base}/get_service_list`).catch(() => undefined)
    const list = Array.isArray(answer?.body) ? answer.body : [...TASK_NAMES]
    return list.filter((task): task is string => typeof task === 'string' && /^[\w-]{1,64}$/.test(task)).slice(0, 64)
  }
}
