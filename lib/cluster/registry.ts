/**
 * What a cloud knows of its cluster: the last word of every node, with its age. Nothing here waits for another node;
 * each node's JSON is made once, when it is heard.
 */
import type { NodeRole, NodeStatus } from './status.js'

/** Beats (or polls) a node may miss before it is left out. */
const MISSED_BEATS = 3
/** Lost nodes are remembered this long, for the eyes of people. */
const FORGET_MS = 24 * 3600 * 1000
/** Nodes that are remembered at the most. */
const MOST_NODES = 10_000

export interface NodeAddress {
  ip: string
  port: number
  scheme: 'http' | 'https'
}

interface NodeRecord extends NodeAddress {
  role: NodeRole
  /** `poll`: an older node, which is asked. */
  kind: 'beat' | 'poll' | 'self'
  intervalMs: number
  heardAt: number
  status: NodeStatus
  deviceJson: string
  serviceJson: string
}

/** A node as `/nodes` shows it. */
export interface NodeView extends NodeAddress {
  key: string
  role: NodeRole
  kind: NodeRecord['kind']
  /** Milliseconds since it was last heard. */
  age_ms: number
  lost: boolean
  status: NodeStatus
}

/** A node that runs a task, as `/get_execute_url` answers it. */
export interface ExecuteUrl {
  url: string
  /** MB a second. */
  bandwidth: number
  /** Fractions free, [0, 1]. */
  cpu: number
  mem: number
  /** Percent in use. */
  cpu_ratio: number[]
  mem_ratio: number
  n_cpu: number
}

export interface RegistryOptions {
  self: NodeAddress & { role: NodeRole }
  readSelf(): NodeStatus
  /** A monotonic clock, milliseconds. */
  now?: () => number
}

export class ClusterRegistry {
  readonly #options: RegistryOptions
  readonly #now: () => number
  readonly #nodes = new Map<string, NodeRecord>()

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Remembers what a node says of itself; a node not heard of before has joined. */
  hear(address: NodeAddress, kind: 'beat' | 'poll', intervalMs: number, status: NodeStatus): { joined: boolean } {
    const id = idOf(address)
    const joined = !this.#nodes.has(id)
    if (joined && this.#nodes.size >= MOST_NODES) this.#forgetOldest()
    this.#nodes.set(id, { ...address, role: 'host', kind, intervalMs, heardAt: this.#now(), ...rendered(status) })
    return { joined }
  }

  /** Forgets a node that said it leaves; false when it was not known. */
  leave(address: Pick<NodeAddress, 'ip' | 'port'>): boolean {
    return this.#nodes.delete(idOf(address))
  }

  /** Tasks with a live worker anywhere. */
  services(): string[] {
    return [...new Set(this.#present().flatMap(({ status }) => Object.keys(status.service_state)))].sort()
  }

  executeUrls(task: string): Record<string, ExecuteUrl> {
    return Object.fromEntries(this.#present()
      .filter(({ status }) => Object.hasOwn(status.service_state, task))
      .map((node) => [`${node.ip}:${node.port}`, executeUrl(node, task)]))
  }

  /** JSON of `/get_system_status`. */
  systemStatusJson(): string {
    const keyed = this.#keyed()
    const part = (role: NodeRole): string => keyed
      .filter(([, node]) => node.role === role)
      .map(([key, node]) => `${JSON.stringify(key)}:{${node.deviceJson},${node.serviceJson}}`).join(',')
    return `{"cloud":{${part('cloud')}},"host":{${part('host')}}}`
  }

  /** JSON of `/get_cluster_info`. */
  clusterInfoJson(): string {
    return `{${this.#keyed().map(([key, node]) =>
      `${JSON.stringify(key)}:{"node_role":"${node.role}",${node.deviceJson},${node.serviceJson}}`).join(',')}}`
  }

  /** Every node that is remembered, the lost ones too. */
  nodes(): NodeView[] {
    this.#forgetLost()
    const now = this.#now()
    return this.#withKeys([this.#self(), ...this.#nodes.values()]).map(([key, node]) => ({
      key,
      ip: node.ip,
      port: node.port,
      scheme: node.scheme,
      role: node.role,
      kind: node.kind,
      age_ms: Math.round(now - node.heardAt),
      lost: this.#isLost(node, now),
      status: node.status,
    }))
  }

  #self(): NodeRecord {
    const { self, readSelf } = this.#options
    return { ...self, kind: 'self', intervalMs: Infinity, heardAt: this.#now(), ...rendered(readSelf()) }
  }

  #present(): NodeRecord[] {
    const now = this.#now()
    return [this.#self(), ...[...this.#nodes.values()].filter((node) => !this.#isLost(node, now))]
  }

  #keyed(): [string, NodeRecord][] {
    return this.#withKeys(this.#present())
  }

  /** Nodes by IP; where two share one, by `ip:port`. */
  #withKeys(nodes: NodeRecord[]): [string, NodeRecord][] {
    const counts = new Map<string, number>()
    for (const { ip } of nodes) counts.set(ip, (counts.get(ip) ?? 0) + 1)
    return nodes.map((node) => [counts.get(node.ip) === 1 ? node.ip : idOf(node), node])
  }

  #isLost(node: NodeRecord, now: number): boolean {
    return now - node.heardAt > MISSED_BEATS * node.intervalMs
  }

  #forgetLost(): void {
    const now = this.#now()
    for (const [id, node] of this.#nodes) {
      if (this.#isLost(node, now) && now - node.heardAt > FORGET_MS) this.#nodes.delete(id)
    }
  }

  #forgetOldest(): void {
    let oldest: string | undefined
    let heardAt = Infinity
    for (const [id, node] of this.#nodes) {
      if (node.heardAt < heardAt) [oldest, heardAt] = [id, node.heardAt]
    }
    if (oldest !== undefined) this.#nodes.delete(oldest)
  }
}

function idOf({ ip, port }: Pick<NodeAddress, 'ip' | 'port'>): string {
  return `${ip}:${port}`
}

function rendered(status: NodeStatus): Pick<NodeRecord, 'status' | 'deviceJson' | 'serviceJson'> {
  return {
    status,
    deviceJson: `"device_state":${JSON.stringify(status.device_state)}`,
    serviceJson: `"service_state":${JSON.stringify(status.service_state)}`,
  }
}

function executeUrl({ scheme, ip, port, status }: NodeRecord, task: string): ExecuteUrl {
  const { device_state: device } = status
  const busy = device.cpu_ratio.reduce((sum, ratio) => sum + ratio, 0) / Math.max(1, device.cpu_ratio.length)
  return {
    url: `${scheme}://${ip}:${port}/execute_task/${task}`,
    bandwidth: device['net_ratio(MBps)'],
    cpu: free(busy),
    mem: free(device.mem_ratio),
    cpu_ratio: device.cpu_ratio,
    mem_ratio: device.mem_ratio,
    n_cpu: device.n_cpu,
  }
}

/** From percent in use to the fraction free. */
function free(percent: number): number {
  return Math.min(1, Math.max(0, Math.round(1e4 - percent * 100) / 1e4))
}
