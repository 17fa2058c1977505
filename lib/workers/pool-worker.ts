/** One worker of a pool: the jobs it holds, and when it will be done with them. */
import type { JobResult } from '../tasks/job.js'
import type { WorkerGroup } from './limits/index.js'
import { LatencyRecord } from './latency.js'
import type { PoolJob } from './pool-job.js'
import type { WorkerProcess } from './worker-process.js'

/**
 * Jobs a worker holds at once: the one it runs, and the next, whose bytes cross to the worker meanwhile, so that it
 * never waits for them.
 */
export const WINDOW = 2

export class PoolWorker {
  readonly process: WorkerProcess
  readonly group: WorkerGroup
  readonly latency = new LatencyRecord()
  /** `draining` takes no more jobs and ends when it has none. */
  state: 'starting' | 'ready' | 'draining' | 'dead' = 'starting'
  /** Threads its model computes with. */
  threads: number
  /** In the order it runs them. */
  readonly held: PoolJob[] = []
  /** What it runs now; after its death, what it ran then. */
  running: PoolJob | undefined
  #runningSince = 0

  constructor(process: WorkerProcess, group: WorkerGroup, threads: number) {
    this.process = process
    this.group = group
    this.threads = threads
  }

  get hasRoom(): boolean {
    return this.state === 'ready' && this.held.length < WINDOW
  }

  /** Milliseconds until it would be done with one more job, behind `ahead` others that are not its own yet. */
  finishesIn(now: number, typical: number, ahead = 0): number {
    const mean = this.latency.mean ?? typical
    const running = this.held.length > 0 ? Math.max(0, mean - (now - this.#runningSince)) : 0
    return running + mean * (Math.max(0, this.held.length - 1) + ahead + 1)
  }

  /** Hands a job to the process; `settled` is called when it has let go of it, however it ends. */
  take(job: PoolJob, settled: (outcome: { result: JobResult } | { error: unknown }) => void): void {
    const { result, cancel } = this.process.run(job.job)
    this.held.push(job)
    job.cancel = cancel
    this.#next()
    const release = (outcome: { result: JobResult } | { error: unknown }): void => {
      this.held.splice(this.held.indexOf(job), 1)
      if (this.state !== 'dead') this.#next()
      settled(outcome)
    }
    result.then((value) => {
      this.latency.add(value.usage.wallSeconds * 1000)
      release({ result: value })
    }, (error: unknown) => release({ error }))
  }

  #next(): void {
    if (this.running === this.held[0]) return
    this.running = this.held[0]
    this.#runningSince = performance.now()
  }
}
