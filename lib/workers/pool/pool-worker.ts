/** One worker of a pool: the jobs it holds, and when it will be done with them. */
import type { TaskOptions } from '../../tasks/index.js'
import type { JobResult } from '../../inference/job.js'
import type { Candidate } from './dispatch.js'
import type { WorkerGroup } from '../limits/index.js'
import { LatencyRecord } from './latency.js'
import type { PoolJob } from './pool-job.js'
import { ProgressWatch } from './progress-watch.js'
import type { EffectiveLimits } from '../types.js'
import type { WorkerProcess } from '../process/worker-process.js'

/**
 * Jobs a worker holds at once: the one it runs, and the next, whose bytes cross to the worker meanwhile, so that it
 * never waits for them.
 */
export const WINDOW = 2

/** One that takes so many times as long as a job should is overdue. */
const OVERDUE_FACTOR = 10

/** Share of the time that a worker's threads compute at most: between its jobs they wait. */
const THREAD_USE = 0.9

/** How long a reading of the limits is good for, where nothing was changed. */
const READING_MS = 250

export interface PoolWorkerOptions {
  process: WorkerProcess
  group: WorkerGroup
  /** Options of its task, without the number of threads it was given. */
  taskOptions: TaskOptions
  /** Threads its model computes with. */
  threads: number
  /** Milliseconds without any CPU time used, while it has work, after which it is stuck and is killed. */
  stuckAfterMs: number
  onStuck(worker: PoolWorker): void
}

export class PoolWorker {
  readonly process: WorkerProcess
  readonly group: WorkerGroup
  readonly taskOptions: TaskOptions
  readonly latency = new LatencyRecord()
  /** `draining` takes no more jobs and ends when it has none. */
  state: 'starting' | 'ready' | 'draining' | 'dead' = 'starting'
  threads: number
  /** In the order it runs them. */
  readonly held: PoolJob[] = []
  /** What it runs now; after its death, what it ran then. */
  running: PoolJob | undefined
  /** Whether it was killed for being stuck. */
  stuck = false
  /** Whether its death may have been the doing of what it ran. */
  diedOfWork = false
  readonly #watch: ProgressWatch
  #runningSince = 0
  #limits: EffectiveLimits | undefined
  #limitsReadAt = 0

  constructor({ process, group, taskOptions, threads, stuckAfterMs, onStuck }: PoolWorkerOptions) {
    this.process = process
    this.group = group
    this.taskOptions = taskOptions
    this.threads = threads
    this.#watch = new ProgressWatch(process.pid, stuckAfterMs, () => onStuck(this))
    this.#watch.start()
  }

  /** Its model is loaded: it takes jobs. */
  becomeReady(): void {
    this.state = 'ready'
    this.#watch.stop()
  }

  get hasRoom(): boolean {
    return this.state === 'ready' && this.held.length < WINDOW
  }

  /** As the hand-out sees it; `typical`: milliseconds a job takes; `cores`: of the machine. */
  candidate(now: number, typical: number, cores: number): Candidate & { worker: PoolWorker } {
    const jobTime = Math.max(typical, 0.01)
    const elapsed = now - this.#runningSince
    // One that is late already is likely to be later still.
    const isBusy = this.held.length > 0
    const rest = isBusy ? Math.abs(jobTime - elapsed) : 0
    return {
      worker: this,
      hasRoom: this.hasRoom,
      freeIn: rest + jobTime * Math.max(0, this.held.length - 1),
      jobTime,
      isBusy,
      isOverdue: isBusy && elapsed > OVERDUE_FACTOR * Math.max(jobTime, this.latency.mean ?? 0),
      cpuShare: Math.min(this.limits.cpuUtilLimit, THREAD_USE * this.threads / cores),
    }
  }

  /** Read from the kernel, a moment ago at most. */
  get limits(): EffectiveLimits {
    const now = performance.now()
    if (!this.#limits || now - this.#limitsReadAt > READING_MS) {
      this.#limits = this.group.readUtil()
      this.#limitsReadAt = now
    }
    return this.#limits
  }

  /** To be called when its limits, or its task's, were changed. */
  limitsChanged(): void {
    const before = this.#limits?.cpuUtilLimit
    this.#limits = undefined
    if (this.limits.cpuUtilLimit !== before) this.latency.forgetMean()
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

  /** To be called once its process is gone. `oomKills`: undefined where nobody counts them. */
  markDead(signal: NodeJS.Signals | null, oomKills: number | undefined): void {
    this.state = 'dead'
    this.#watch.close()
    const killedByOthers = signal === 'SIGKILL' && oomKills === 0 && !this.stuck
    this.diedOfWork = !killedByOthers
  }

  #next(): void {
    if (this.running === this.held[0]) return
    this.running = this.held[0]
    this.#runningSince = performance.now()
    this.#watch.stop()
    if (this.running) this.#watch.start()
  }
}
