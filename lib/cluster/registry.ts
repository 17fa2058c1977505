/**
 * What a cloud knows of its cluster: the last report of every node, with its age. Nothing here waits for another node.
 * A node's JSON is written once a report, and each document at most once in a tenth of a second.
 */
import { EdgeInferError } from '../errors.js'
import { toFlatStatus } from '../host/index.js'
import { TASK_NAMES } from '../tasks/registry.js'
import { idOf, urlOf, type NodeAddress } from './address.js'
import { RunningClock } from './running-clock.js'
import type { NodeKind, NodeRole, NodeStatus, NodeView } from './types.js'

/** Heartbeats (or polls) a node may miss before it is lost. */
const MAX_MISSED_HEARTBEATS = 3
/** A heartbeat that was due just now may still be on its way, milliseconds. */
const GRACE_MS = 250
/** Lost nodes stay in `/nodes` this long, so that people see them. */
const FORGET_MS = 24 * 3600 * 1000
/** The most nodes in the registry, the lost ones counted. */
const MAX_NODES = 2000
/** A document is written anew when it is older; nodes that join or leave show at once. */
const FRESH_MS = 100

/** Who sent a report: the same process as before, or at least the same machine. */
export interface ReportSender {
  /** The address the report came from. */
  from: string
  instance?: string | undefined
}

/** A node's status, and how it came. */
export interface NodeReport extends ReportSender {
  kind: 'beat' | 'poll'
  /** Milliseconds until the next is due. */
  intervalMs: number
  status: NodeStatus
}

interface NodeRecord extends NodeAddress, ReportSender {
  role: NodeRole
  kind: NodeKind
  intervalMs: number
  /** By the running clock. */
  reportedAt: number
  status: NodeStatus
  /** Members `device_state` and `service_state`, and the flat ones of older nodes. */
  json: string
  flatJson: string
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
  #ownJson: Pick<NodeRecord, 'status' | 'json' | 'flatJson'> | undefined

  constructor({ self, readSelf, now }: RegistryOptions) {
    this.#self = self
    this.#readSelf = readSelf
    this.#clock = new RunningClock(now)
  }

  /**
   * Records the report of a node. An address belongs to the node that has it until that is lost or deregisters.
   * @returns whether the node has just joined
   * @throws EdgeInferError ADDRESS_TAKEN, CLUSTER_FULL
   */
  recordReport({ ip, port, scheme }: NodeAddress, report: NodeReport): { joined: boolean } {
    const address = { ip, port, scheme }
    const id = idOf(address)
    const now = this.#clock.now()
    const known = this.#nodes.get(id)
    const present = known !== undefined && !isLost(known, now)
    if (id === idOf(this.#self) || (present && !isSameSender(known, report))) {
      const message = `Expected an address of its own (--advertise) but ${id} is another node's`
      throw new EdgeInferError('ADDRESS_TAKEN', message)
    }
    if (!known && this.#nodes.size >= MAX_NODES) this.#makeRoom(now)
    this.#nodes.set(id, { ...address, role: 'host', ...report, reportedAt: now, ...render(report.status) })
    if (!present) this.expire()
    return { joined: !present }
  }

  /** Removes a node at its own request; false when it was not there, or another sent the request. */
  deregister(address: Pick<NodeAddress, 'ip' | 'port'>, sender: ReportSender): boolean {
    const id = idOf(address)
    const known = this.#nodes.get(id)
    if (!known || !isSameSender(known, sender)) return false
    this.expire()
    return this.#nodes.delete(id)
  }

  /** What that node last reported of its tasks. */
  serviceStateOf(address: Pick<NodeAddress, 'ip' | 'port'>): NodeStatus['service_state'] | undefined {
    return this.#nodes.get(idOf(address))?.status.service_state
  }

  /** Whether that node sends heartbeats, or is this one, so that it need not be polled. */
  hasHeartbeat(address: Pick<NodeAddress, 'ip' | 'port'>): boolean {
    const id = idOf(address)
    const node = this.#nodes.get(id)
    return id === idOf(this.#self) || (node?.kind === 'beat' && !isLost(node, this.#clock.now()))
  }

  /** Every document is written anew when it is next asked for. */
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
    const entry = ([key, { role, flatJson, json }]: [string, NodeRecord]): string =>
      `${JSON.stringify(key)}:{"node_role":"${role}",${flatJson},${json}}`
    return this.#once('info', () => Buffer.from(`{${withKeys(this.#present()).map(entry).join(',')}}`))
  }

  /** Every node in the registry, this one first. */
  nodeSummaries(): { role: NodeRole; lost: boolean }[] {
    const now = this.#clock.now()
    const others = [...this.#nodes.values()].map((node) => ({ role: node.role, lost: isLost(node, now) }))
    return [{ role: this.#self.role, lost: false }, ...others]
  }

  /** JSON of a list of {@link NodeView}: every node in the registry, the lost ones too. */
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
    if (this.#ownJson?.status !== status) this.#ownJson = { status, ...render(status) }
    return { ...this.#self, kind: 'self', from: '', intervalMs: Infinity, reportedAt: now, ...this.#ownJson }
  }

  #forgetLost(now: number): void {
    for (const [id, node] of this.#nodes) if (now - node.reportedAt > FORGET_MS) this.#nodes.delete(id)
  }

  /** Only lost nodes are removed: a flood of new ones does not drive out those that are there. */
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

function isSameSender(known: ReportSender, sender: ReportSender): boolean {
  return known.from === sender.from || (known.instance !== undefined && known.instance === sender.instance)
}

function isLost({ reportedAt, intervalMs }: NodeRecord, now: number): boolean {
  return now - reportedAt > MAX_MISSED_HEARTBEATS * intervalMs + GRACE_MS
}

/** Nodes by IP; where two share one, by `ip:port`. */
function withKeys(nodes: readonly NodeRecord[]): [string, NodeRecord][] {
  const counts = new Map<string, number>()
  for (const { ip } of nodes) counts.set(ip, (counts.get(ip) ?? 0) + 1)
  return nodes.map((node) => [counts.get(node.ip) === 1 ? node.ip : idOf(node), node])
}

function render({ device_state, service_state }: NodeStatus): Pick<NodeRecord, 'json' | 'flatJson'> {
  const members = (value: object): string => JSON.stringify(value).slice(1, -1)
  return { json: members({ device_state, service_state }), flatJson: members(toFlatStatus(device_state)) }
}

function nodeJson(key: string, node: NodeRecord, now: number): string {
  const { ip, port, role, kind, intervalMs, reportedAt, json } = node
  const view: Omit<NodeView, keyof NodeStatus> = {
    id: idOf(node),
    key,
    ip,
    port,
    url: urlOf(node),
    role,
    kind,
    interval_ms: Number.isFinite(intervalMs) ? intervalMs : null,
    age_ms: Math.round(now - reportedAt),
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
