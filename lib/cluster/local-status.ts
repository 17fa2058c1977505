/** This node's own status. */
import type { Sampler } from '../node/index.js'
import type { WorkerInfo, WorkerService } from '../workers/index.js'
import type { NodeStatus, ServiceState, WorkerState } from './status.js'

export class LocalStatus {
  readonly #sampler: Sampler
  readonly #workers: WorkerService
  readonly #watched = new Set<number>()

  constructor(sampler: Sampler, workers: WorkerService) {
    this.#sampler = sampler
    this.#workers = workers
  }

  read(): NodeStatus {
    const infos = this.#workers.workers()
    this.#watch(infos.map(({ pid }) => pid))
    const services = this.#workers.tasks.map((task): [string, ServiceState] => {
      const { cpuUtilLimit, memUtilLimit } = this.#workers.taskLimits(task)
      const workers = infos.filter((info) => info.task === task).map((info) => this.#worker(info))
      return [task, { cpu_util_limit: cpuUtilLimit, mem_util_limit: memUtilLimit, workers }]
    })
    return { device_state: this.#sampler.current(), service_state: Object.fromEntries(services) }
  }

  /** The shape the older clouds read, with the document's keys beside it. */
  readFlat(): Record<string, unknown> {
    return { ...this.#sampler.flat(), ...this.read() }
  }

  /** Samples now instead of waiting for the next turn. */
  sample(): NodeStatus {
    this.#sampler.sampleNow()
    return this.read()
  }

  #worker({ pid, cpuUtilLimit, memUtilLimit, taskToDo }: WorkerInfo): WorkerState {
    const use = this.#sampler.process(pid)
    return {
      pid,
      cpu_util_limit: cpuUtilLimit,
      mem_util_limit: memUtilLimit,
      cpu_ratio: use?.cpuPercent ?? 0,
      mem_ratio: use?.memPercent ?? 0,
      task_to_do: taskToDo,
    }
  }

  #watch(pids: readonly number[]): void {
    for (const pid of pids) if (!this.#watched.has(pid)) this.#sampler.watch(pid)
    for (const pid of this.#watched) if (!pids.includes(pid)) this.#sampler.unwatch(pid)
    this.#watched.clear()
    for (const pid of pids) this.#watched.add(pid)
  }
}
