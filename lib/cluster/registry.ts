/**
 * What a cloud knows of its cluster: the last word of every node, with its age. Nothing here waits for another node;
 * each node's JSON is made once, when it is heard, and each document once in a tenth of a second at the most.
 */
import { EdgeInferError } from '../errors.js'
import { TASK_NAMES } from '../tasks/registry.js'
import { idOf, urlOf, type NodeAddress } from './address.js'
import { RunningClock } from './running-clock.js'
import type { NodeKind, NodeRole, NodeStatus, NodeView } from './types.js'

/** Beats (or polls) a node may miss before it is left out. */
const MISSED_BEATS = 3
/** A beat that was due just now may still be on its way, milliseconds. */
const GRACE_MS = 250
/** Lost nodes are remembered this long, for the eyes of people. */
const FORGET_MS = 24 * 3600 * 1000
/** Nodes that are remembered at the most. */
const MAX_NODES = 2000
/** How old a document may be that is answered; those who join or leave show at once. */
const FRESH_MS = 100

/** Who speaks for a node: the same process, or at least the same machine. */
export interface Speaker {
  /** The address the word came from. */
  from: string
  instance?: string | undefined
}

/** What a node said, and how. */
export interface Word extends Speaker {
  kind: 'beat' | 'poll'
  /** Milliseconds until the next is due. */
  intervalMs: number
  status: NodeStatus
}

interface NodeRecord extends NodeAddress, Speaker {
  role: NodeRole
  kind: NodeKind
  intervalMs: number
  /** By the running clock. */
  heardAt: number
  status: NodeStatus
  /** Members `device_state` and `service_state`. */
  json: string
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
  now?: (() => number) | undefined
}

export class ClusterRegistry {
  readonly #self: RegistryOptions['self']
  readonly #readSelf: () => NodeStatus
  readonly #clock: RunningClock
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #documents = new Map<string, unknown>()
  #documentsAt = 0
  #ownJson: { status: NodeStatus; json: string } | undefined

  constructor({ self, readSelf, now }: RegistryOptions) {
    this.#self = self
    this.#readSelf = readSelf
    this.#clock = new RunningClock(now)
  }

  /**
   * Remembers what a node says of itself. An address belongs to the node that has it until that is lost or leaves.
   * @returns whether it was not there before
   * @throws EdgeInferError ADDRESS_TAKEN, CLUSTER_FULL
   */
  hear({ ip, port, scheme }: NodeAddress, word: Word): { joined: boolean } {
    const address = { ip, port, scheme }
    const id = idOf(address)
    const now = this.#clock.now()
    const known = this.#nodes.get(id)
    const present = known !== undefined && !isLost(known, now)
    if (id === idOf(this.#self) || (present && !isSame(known, word))) {
      throw new EdgeInferError('ADDRESS_TAKEN', `Expected an address of its own (--advertise) but ${id} is another node's`)
    }
    if (!known && this.#nodes.size >= MAX_NODES) this.#makeRoom(now)
    this.#nodes.set(id, { ...address, role: 'host', ...word, heardAt: now, json: render(word.status) })
    if (!present) this.expire()
    return { joined: !present }
  }

  /** Forgets a node that says it leaves; false when it was not there, or another says so. */
  leave(address: Pick<NodeAddress, 'ip' | 'port'>, speaker: Speaker): boolean {
    const id = idOf(address)
    const known = this.#nodes.get(id)
    if (!known || !isSame(known, speaker)) return false
    this.expire()
    return this.#nodes.delete(id)
  }

  /** Whether that node tells of itself, or is this one, so that it need not be asked. */
  speaks(address: Pick<NodeAddress, 'ip' | 'port'>): boolean {
    const id = idOf(address)
    const node = this.#nodes.get(id)
    return id === idOf(this.#self) || (node?.kind === 'beat' && !isLost(node, this.#clock.now()))
  }

  /** What has been written is written anew when it is next asked for. */
  expire(): void {
    this.#documents.clear()
  }

  stop(): void {
    this.#clock.stop()
  }

  /** Tasks with a live worker anywhere. */
  services(): readonly string[] {
    return this.#once('services', () => {
      const offered = new Set(this.#present().flatMap(({ status }) => Object.keys(status.service_state)))
      const others = [...offered].filter((task) => !(TASK_NAMES as readonly string[]).includes(task)).sort()
      return [...TASK_NAMES.filter((task) => offered.has(task)), ...others]
    })
  }

  /** JSON of `/get_execute_url`. @throws EdgeInferError UNKNOWN_TASK, NO_WORKER */
  executeUrlsJson(task: string): Buffer {
    if (!this.services().includes(task)) {
      const known = [...new Set([...TASK_NAMES, ...this.services()])]
      if (known.includes(task)) throw new EdgeInferError('NO_WORKER', `No node of the cluster has a worker for ${task}`)
      const received = JSON.stringify(task.slice(0, 80))
      throw new EdgeInferError('UNKNOWN_TASK', `Expected a task of ${known.join(', ')} but received ${received}`)
    }
    return this.#once(`urls ${task}`, () => Buffer.from(JSON.stringify(Object.fromEntries(this.#present()
      .filter(({ status }) => Object.hasOwn(status.service_state, task))
      .map((node) => [idOf(node), executeUrl(node, task)])))))
  }

  /** JSON of `/get_system_status`. */
  systemStatusJson(): Buffer {
    return this.#once('status', () => {
      const keyed = withKeys(this.#present())
      const part = (role: NodeRole): string =>
        keyed.flatMap(([key, node]) => node.role === role ? `${JSON.stringify(key)}:{${node.json}}` : []).join(',')
      return Buffer.from(`{"cloud":{${part('cloud')}},"host":{${part('host')}}}`)
    })
  }

  /** JSON of `/get_cluster_info`. */
  clusterInfoJson(): Buffer {
    return this.#once('info', () => Buffer.from(`{${withKeys(this.#present())
      .map(([key, node]) => `${JSON.stringify(key)}:{"node_role":"${node.role}",${node.json}}`).join(',')}}`))
  }

  /** Every node that is remembered, this one first. */
  standings(): { role: NodeRole; lost: boolean }[] {
    const now = this.#clock.now()
    const others = [...this.#nodes.values()].map((node) => ({ role: node.role, lost: isLost(node, now) }))
    return [{ role: this.#self.role, lost: false }, ...others]
  }

  /** JSON of a list of {@link NodeView}: every node that is remembered, the lost ones too. */
  nodesJson(): Buffer {
    return this.#once('nodes', () => {
      const now = this.#clock.now()
      this.#forgetLost(now)
      const lost = [...this.#nodes.values()].filter((node) => isLost(node, now))
      const keyed = [...withKeys(this.#present()), ...lost.map((node): [string, NodeRecord] => [idOf(node), node])]
      return Buffer.from(`[${keyed.map(([key, node]) => nodeJson(key, node, now)).join(',')}]`)
    })
  }

  #once<T>(name: string, make: () => T): T {
    const now = this.#clock.now()
    if (now - this.#documentsAt > FRESH_MS) {
      this.expire()
      this.#documentsAt = now
    }
    if (!this.#documents.has(name)) this.#documents.set(name, make())
    return this.#documents.get(name) as T
  }

  #present(): NodeRecord[] {
    const now = this.#clock.now()
    return [this.#selfRecord(now), ...[...this.#nodes.values()].filter((node) => !isLost(node, now))]
  }

  #selfRecord(now: number): NodeRecord {
    const status = this.#readSelf()
    if (this.#ownJson?.status !== status) this.#ownJson = { status, json: render(status) }
    return { ...this.#self, kind: 'self', from: '', intervalMs: Infinity, heardAt: now, ...this.#ownJson }
  }

  #forgetLost(now: number): void {
    for (const [id, node] of this.#nodes) if (now - node.heardAt > FORGET_MS) this.#nodes.delete(id)
  }

  /** Only lost nodes make room: no flood of new ones drives out those that are there. */
  #makeRoom(now: number): void {
    for (const [id, node] of this.#nodes) {
      if (isLost(node, now)) {
        this.#nodes.delete(id)
        return
      }
    }
    throw new EdgeInferError('CLUSTER_FULL', `Expected at most ${MAX_NODES} nodes in the cluster but received one more`)
  }
}

function isSame(known: Speaker, speaker: Speaker): boolean {
  return known.from === speaker.from || (known.instance !== undefined && known.instance === speaker.instance)
}

function isLost({ heardAt, intervalMs }: NodeRecord, now: number): boolean {
  return now - heardAt > MISSED_BEATS * intervalMs + GRACE_MS
}

/** Nodes by IP; where two share one, by `ip:port`. */
function withKeys(nodes: readonly NodeRecord[]): [string, NodeRecord][] {
  const counts = new Map<string, number>()
  for (const { ip } of nodes) counts.set(ip, (counts.get(ip) ?? 0) + 1)
  return nodes.map((node) => [counts.get(node.ip) === 1 ? node.ip : idOf(node), node])
}

function render({ device_state, service_state }: NodeStatus): string {
  return JSON.stringify({ device_state, service_state }).slice(1, -1)
}

function nodeJson(key: string, node: NodeRecord, now: number): string {
  const { ip, port, role, kind, intervalMs, heardAt, json } = node
  const view: Omit<NodeView, keyof NodeStatus> = {
    id: idOf(node),
    key,
    ip,
    port,
    url: urlOf(node),
    role,
    kind,
    interval_ms: Number.isFinite(intervalMs) ? intervalMs : null,
    age_ms: Math.round(now - heardAt),
    lost: isLost(node, now),
  }
  return `${JSON.stringify(view).slice(0, -1)},${json}}`
}

function executeUrl({ status: { device_state: device }, ...address }: NodeRecord, task: string): ExecuteUrl {
  const busy = device.cpu_ratio.reduce((sum, ratio) => sum + ratio, 0) / Math.max(1, device.cpu_ratio.length)
  return {
    url: `${urlOf(address)}/execute_task/${task}`,
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
