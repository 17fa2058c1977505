/** How many threads each worker computes with. */
import type { TaskOptions } from '../../tasks/index.js'
import type { EffectiveLimits } from '../types.js'
import type { Clock } from './clock.js'

/** Limits are left alone this long before threads follow: another number of threads means loading the model again. */
const SETTLE_MS = 500

export interface ThreadPolicyOptions {
  /** What the node may use now. */
  cores: () => number
  /** Threads of a worker whose options name no number. */
  defaultThreads: number
  clock: Clock
}

/** A worker, as the policy sees it. */
export interface ThreadedWorker {
  readonly taskOptions: TaskOptions
  readonly limits: EffectiveLimits
  readonly threads: number
  setThreads(threads: number): void
}

export class ThreadPolicy {
  /** What the workers of the task may use together, as a share of all cores. */
  taskShare: number
  readonly #options: ThreadPolicyOptions
  #cancelSettle: () => void = () => {}
  #closed = false

  constructor(taskShare: number, options: ThreadPolicyOptions) {
    this.taskShare = taskShare
    this.#options = options
  }

  /**
   * Threads for one of so many `workers` under its CPU limit. More threads than a quota can feed only wait for each
   * other; fewer cannot use it up: under 1.5 cores a second thread takes a quarter off a YOLOv8n's latency.
   */
  threads({ threads: wanted }: TaskOptions, cpuUtilLimit: number, workers: number): number {
    const { cores, defaultThreads } = this.#options
    const share = this.taskShare < 1 ? Math.min(cpuUtilLimit, this.taskShare / Math.max(1, workers)) : cpuUtilLimit
    return Math.max(1, Math.min(wanted ?? defaultThreads, Math.ceil(share * cores() - 1e-9)))
  }

  /** Limits, or the number of workers, have changed: gives each worker its threads once nothing changes any more. */
  settle(read: () => { ready: readonly ThreadedWorker[]; workers: number }): void {
    this.#cancelSettle()
    if (this.#closed) return
    this.#cancelSettle = this.#options.clock.after(SETTLE_MS, () => {
      const { ready, workers } = read()
      for (const worker of ready) {
        const threads = this.threads(worker.taskOptions, worker.limits.cpuUtilLimit, workers)
        if (threads !== worker.threads) worker.setThreads(threads)
      }
    })
  }

  /** Threads stay as they are from now on. */
  close(): void {
    this.#closed = true
    this.#cancelSettle()
  }
}
