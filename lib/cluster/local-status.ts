/** This node's own status. */
import type { Sampler } from '../host/index.js'
import type { WorkerInfo, WorkerService } from '../workers/index.js'
import { fromReported, toWire, type WireEffectiveLimits } from '../workers/limits/index.js'
import type { NodeStatus, ServiceState, WorkerState } from './types.js'

/** Limits and queues are read at most this often, however often they are asked for. */
const FRESH_MS = 250

export class LocalStatus {
  readonly #sampler: Sampler
  readonly #workers: WorkerService
  #watched = new Set<number>()
  #last: NodeStatus | undefined
  #readAt = 0

  constructor(sampler: Sampler, workers: WorkerService) {
    this.#sampler = sampler
    this.#workers = workers
  }

  /** The same object until it is read anew. */
  read(): NodeStatus {
    const now = performance.now()
    if (!this.#last || now - this.#readAt > FRESH_MS) {
      this.#last = this.#read()
      this.#readAt = now
    }
    return this.#last
  }

  /** A worker or a limit has changed: the next reading is a new one. */
  expire(): void {
    this.#last = undefined
  }

  /** The shape the older clouds read, with the document's keys beside it. */
  readFlat(): Record<string, unknown> {
    return { ...this.#sampler.flat(), ...this.read() }
  }

  /** Samples the machine now, instead of at the next tick, unless the last status is fresh. */
  sample(): void {
    if (this.#last && performance.now() - this.#readAt <= FRESH_MS) return
    this.#sampler.sampleNow()
    this.expire()
  }

  #read(): NodeStatus {
    const infos = this.#workers.workers()
    this.#watch(infos.map(({ pid }) => pid))
    const services = this.#workers.tasks.map((task): [string, ServiceState] => {
      const workers = infos.filter((info) => info.task === task)
      return [task, { ...this.#allotted(task, workers), workers: workers.map((info) => this.#worker(info)) }]
    })
    return { device_state: this.#sampler.current(), service_state: Object.fromEntries(services) }
  }

  /** The most a task can use: its own limit, or what its workers may use together where that is less. */
  #allotted(task: WorkerInfo['task'], workers: readonly WorkerInfo[]): WireEffectiveLimits {
    const own = this.#workers.taskLimits(task)
    return toWire(fromReported((limit) => Math.min(own[limit], workers.reduce((sum, one) => sum + one[limit], 0))))
  }

  #worker({ pid, model, taskToDo, latency, ...limits }: WorkerInfo): WorkerState {
    const use = this.#sampler.process(pid)
    return {
      pid,
      model,
      ...toWire(limits),
      cpu_ratio: use?.cpuPercent ?? 0,
      mem_ratio: use?.memPercent ?? 0,
      task_to_do: taskToDo,
      p50_ms: latency ? tenths(latency.p50) : null,
      p99_ms: latency ? tenths(latency.p99) : null,
    }
  }

  #watch(pids: readonly number[]): void {
    const wanted = new Set(pids)
    for (const pid of this.#watched) if (!wanted.has(pid)) this.#sampler.unwatch(pid)
    for (const pid of wanted) this.#sampler.watch(pid)
    this.#watched = wanted
  }
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
