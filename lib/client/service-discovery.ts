/** Which nodes run a task: asked of the cloud, cached for a short time, refreshed in the background. */
import { EdgeInferError } from '../errors.js'
import { ClusterNode, type NodeLoad } from './cluster-node.js'
import { Deadline } from './deadline.js'
import type { ClientSettings } from './options.js'
import { Transport } from './transport.js'

export interface DiscoverySettings extends ClientSettings {
  /** Age at which a list is refreshed. */
  refreshMs: number
  penaltyMs: number
  /** Measure the round trip to each node with each list. */
  probe: boolean
}

interface Listing {
  nodes: ClusterNode[]
  askedAt: number
}

/** A list older than so many refresh intervals is used only when the cloud does not answer. */
const STALE_REFRESHES = 10
const REFRESH_TIMEOUT_MS = 5000

export class ServiceDiscovery {
  readonly #cloud: Transport
  readonly #settings: DiscoverySettings
  readonly #listings = new Map<string, Listing>()
  readonly #refreshes = new Map<string, Promise<ClusterNode[]>>()
  /** By URL; one node may run several tasks. */
  readonly #nodes = new Map<string, ClusterNode>()
  /** Lists whose nodes are being probed. */
  readonly #probing = new Set<ClusterNode[]>()
  readonly #closing = new AbortController()

  constructor(url: string | URL, settings: DiscoverySettings) {
    this.#settings = settings
    this.#cloud = new Transport(url, settings)
  }

  get cloudUrl(): string {
    return this.#cloud.url
  }

  /**
   * Nodes with a live worker for the task, as the cloud last reported. The last list is used while the cloud does not
   * answer. @throws EdgeInferError UNKNOWN_TASK; the cloud's failure, where it has never answered.
   */
  async nodes(task: string, deadline: Deadline): Promise<readonly ClusterNode[]> {
    const known = this.#listings.get(task)
    const age = known ? performance.now() - known.askedAt : Infinity
    if (known && age < this.#settings.refreshMs) return known.nodes
    const refresh = this.#refresh(task)
    if (known && age < STALE_REFRESHES * this.#settings.refreshMs) {
      refresh.catch(() => {})
      return known.nodes
    }
    try {
      return await deadline.race(refresh)
    } catch (error) {
      if (known && !deadline.passed && !isUnknownTask(error)) return known.nodes
      throw error
    }
  }

  /** A listed node failed: the next call asks the cloud again, in the background. */
  expire(task: string): void {
    const known = this.#listings.get(task)
    if (known) known.askedAt = Math.min(known.askedAt, performance.now() - this.#settings.refreshMs)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#refreshes.values())
    await Promise.all([this.#cloud, ...[...this.#nodes.values()].map(({ transport }) => transport)]
      .map((transport) => transport.close()))
  }

  #refresh(task: string): Promise<ClusterNode[]> {
    const running = this.#refreshes.get(task)
    if (running) return running
    const refresh = this.#ask(task).finally(() => this.#refreshes.delete(task))
    this.#refreshes.set(task, refresh)
    return refresh
  }

  async #ask(task: string): Promise<ClusterNode[]> {
    const deadline = new Deadline(REFRESH_TIMEOUT_MS, this.#closing.signal)
    const request = { method: 'GET', path: `/get_execute_url/${encodeURIComponent(task)}` } as const
    let body: object
    try {
      body = (await this.#cloud.sendWithRetry(request, deadline, this.#settings.retries)).body
    } catch (error) {
      if (isUnknownTask(error)) this.#listings.delete(task)
      throw error
    } finally {
      deadline.release()
    }
    const nodes = Object.entries(body).flatMap(([key, entry]) => this.#node(key, task, entry) ?? [])
    this.#probing.add(nodes)
    if (this.#settings.probe) await Promise.all(nodes.map((node) => node.probe(this.#settings.penaltyMs)))
    this.#probing.delete(nodes)
    this.#listings.set(task, { nodes, askedAt: performance.now() })
    this.#closeUnlisted()
    return nodes
  }

  /** Closes the connections of nodes that no list names any more. */
  #closeUnlisted(): void {
    const lists = [...this.#probing, ...[...this.#listings.values()].map(({ nodes }) => nodes)]
    const listed = new Set(lists.flat())
    for (const [url, node] of this.#nodes) {
      if (listed.has(node) || node.inFlight > 0) continue
      this.#nodes.delete(url)
      void node.transport.close()
    }
  }

  /** undefined for an entry that names no http URL. */
  #node(key: string, task: string, entry: unknown): ClusterNode | undefined {
    const { url, ...load } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>
    const base = baseUrl(typeof url === 'string' ? url : `http://${key}`, task)
    if (base === undefined) return undefined
    const node = this.#nodes.get(base) ?? new ClusterNode(base, { ...this.#settings, token: undefined })
    this.#nodes.set(base, node)
    node.load = readLoad(load)
    return node
  }
}

function isUnknownTask(error: unknown): boolean {
  return error instanceof EdgeInferError && error.code === 'UNKNOWN_TASK'
}

/** The node's own URL, from that of its task route. */
function baseUrl(url: string, task: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { protocol, origin, pathname } = new URL(url)
  if (protocol !== 'http:' && protocol !== 'https:') return undefined
  const path = pathname.replace(/\/$/, '')
  const route = `/execute_task/${task}`
  return origin + (path.endsWith(route) ? path.slice(0, -route.length) : path)
}

/** Missing members count as one core, free. */
function readLoad({ cpu, mem, n_cpu: cores }: Record<string, unknown>): NodeLoad {
  const share = (value: unknown): number =>
    typeof value === 'number' && Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : 1
  return {
    cpu: share(cpu),
    mem: share(mem),
    cores: typeof cores === 'number' && Number.isFinite(cores) && cores >= 1 ? cores : 1,
  }
}
