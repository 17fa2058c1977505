/** The data of a `state` event, and what the page remembers of those that came. */

export interface DeviceState {
  /** Percent busy, one entry a core. */
  cpu_ratio: number[]
  n_cpu: number
  /** Percent. */
  mem_ratio: number
  /** GB. */
  mem_total: number
  'net_ratio(MBps)': number
  swap_ratio: number
  /** Share of its memory in use, [0, 1], by GPU. */
  gpu_mem: Record<string, number>
  /** Percent, by GPU. */
  gpu_utilization: Record<string, number>
}

export interface Worker {
  pid: number
  model: string
  /** Shares of the machine, (0, 1]. */
  cpu_util_limit: number
  mem_util_limit: number
  /** Percent of the machine. */
  cpu_ratio: number
  mem_ratio: number
  task_to_do: number
  /** Of the last requests; null before the first. */
  p50_ms: number | null
  p99_ms: number | null
}

export interface Service {
  cpu_util_limit: number
  mem_util_limit: number
  workers: Worker[]
}

export interface Node {
  id: string
  key: string
  url: string
  role: 'cloud' | 'host'
  /** `self`: the node this page comes from; `poll`: an older one. */
  kind: 'self' | 'beat' | 'poll'
  age_ms: number
  lost: boolean
  device_state: DeviceState
  service_state: Record<string, Service>
}

export interface State {
  role: 'cloud' | 'host'
  /** Of a host: its cloud. */
  upstream?: { cloud: string; standing: string }
  nodes: Node[]
}

export const TASKS = ['face_detection', 'face_alignment', 'car_detection', 'helmet_detection'] as const
export type Task = (typeof TASKS)[number]

/** Where calls to a node go. Its own page's node is called where the page came from, by whatever name that was. */
export function baseOf({ kind, url }: Pick<Node, 'kind' | 'url'>): string {
  return kind === 'self' ? new URL('.', location.href).href.replace(/\/$/, '') : url
}

/** Figures of a node over the last two minutes, the newest last. */
export interface History {
  cpu: number[]
  memory: number[]
  network: number[]
  gpus: Record<string, number[]>
}

const REMEMBERED = 120

export type Histories = ReadonlyMap<string, History>

export function remember(histories: Histories, nodes: readonly Node[]): Histories {
  return new Map(nodes.map((node) => [node.id, append(histories.get(node.id), node)]))
}

function append(history: History | undefined, { lost, device_state: device }: Node): History {
  const { cpu = [], memory = [], network = [], gpus = {} } = history ?? {}
  if (lost && history) return history
  return {
    cpu: next(cpu, mean(device.cpu_ratio)),
    memory: next(memory, device.mem_ratio),
    network: next(network, device['net_ratio(MBps)']),
    gpus: Object.fromEntries(Object.entries(device.gpu_utilization).map(([gpu, percent]) =>
      [gpu, next(gpus[gpu] ?? [], percent)])),
  }
}

function next(values: readonly number[], value: number): number[] {
  return [...values.slice(1 - REMEMBERED), value]
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}
