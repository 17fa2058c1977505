/** The data of a `state` event, and what the page remembers of those that came. */
import type { ClusterView, NodeView, ServiceState, WorkerState } from '../cluster/types.js'

export type { ClusterView as State, NodeView as Node, ServiceState as Service, WorkerState as Worker }

/** Where calls to a node go. Its own page's node is called where the page came from, by whatever name that was. */
export function baseOf({ kind, url }: Pick<NodeView, 'kind' | 'url'>): string {
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

export function remember(histories: Histories, nodes: readonly NodeView[]): Histories {
  return new Map(nodes.map((node) => [node.id, append(histories.get(node.id), node)]))
}

function append(history: History | undefined, { lost, device_state: device }: NodeView): History {
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
