/** One worker of a pool: the jobs assigned to it, when it will be done with them, and what it died of. */
import { EdgeInferError } from '../../errors.js'
import { readProcess } from '../../host/index.js'
import type { JobResult } from '../../inference/job.js'
import type { TaskOptions } from '../../tasks/index.js'
import type { GroupStats, WorkerGroup } from '../limits/index.js'
import { describeEnd, type WorkerEnd, type WorkerProcess } from '../process/worker-process.js'
import type { EffectiveLimits, WorkerInfo, WorkerUsage } from '../types.js'
import type { Clock } from './clock.js'
import type { Candidate } from './dispatch.js'
import { LatencyRecord } from './latency.js'
import { ProgressWatch } from './progress-watch.js'
import type { QueuedJob } from './queue.js'

/** What the pool needs of a process, and of a control group. */
export type ProcessHandle = Pick<WorkerProcess,
  'pid' | 'startedAt' | 'model' | 'provider' | 'warnings' | 'ready' | 'ended' | 'run' | 'setThreads' | 'stop' | 'kill'>
export type GroupHandle = Pick<WorkerGroup,
  'apply' | 'inherit' | 'own' | 'readUtil' | 'stats' | 'memory' | 'enter' | 'remove'>

/**
 * Jobs assigned to a worker at once: the one it runs, and the next, whose bytes cross to the worker meanwhile, so that
 * it never waits for them.
 */
export const MAX_ASSIGNED = 2

/** A job is overdue once it takes this multiple of its expected time. */
const OVERDUE_FACTOR = 10
/** A worker still running a cancelled job after this multiple of `stuckAfterMs` is killed. */
const CANCEL_FACTOR = 10
/** A draining worker without a job that has not ended after this is killed. */
const STOP_GRACE_MS = 5000
/** A worker that was ready for so long was healthy, even where it had no job. */
const HEALTHY_MS = 60_000
/** Share of the time that a worker's threads compute at most: between its jobs they wait. */
const THREAD_USE = 0.9
/** How long limits that were read are good for, where nothing was changed. */
const LIMITS_FRESH_MS = 250

export interface PoolWorkerOptions {
  process: ProcessHandle
  group: GroupHandle
  /** Options of its task, without the number of threads it was given. */
  taskOptions: TaskOptions
  /** Threads its model computes with. */
  threads: number
  /** Milliseconds without any CPU time used, while it has work, after which it is stuck and is killed. */
  stuckAfterMs: number
  clock: Clock
  /** Called before the worker is killed. */
  onStuck(worker: PoolWorker, why: string): void
}

/** What the kernel killed it for. */
export const OUT_OF_MEMORY = 'out of memory'

/** How a worker died. */
export interface Death {
  /** A signal, `exit <code>` or `out of memory`. */
  cause: string
  /** Goes on a sentence that begins with the worker. */
  description: string
  end: WorkerEnd
  /** Undefined where nobody counts them. */
  oomKills: number | undefined
  /** The most memory it had, where somebody counts it. */
  memoryPeakBytes: number | undefined
  /** Whether the job it ran may have caused it. */
  crashedOnJob: boolean
  /** Whether it was ready: neither starting nor draining. */
  wasReady: boolean
  /** Whether it had answered a request, or run for long. */
  wasHealthy: boolean
}

/** A job ended with its worker. `wasRunning`: not merely assigned. */
export interface WorkerDied {
  death: Death
  wasRunning: boolean
}

type Outcome = { result: JobResult } | { error: unknown } | WorkerDied

export class PoolWorker {
  readonly process: ProcessHandle
  readonly group: GroupHandle
  readonly taskOptions: TaskOptions
  readonly latency = new LatencyRecord()
  /** Resolves, never rejects, when the process is gone. */
  readonly death: Promise<Death>
  readonly #options: PoolWorkerOptions
  readonly #clock: Clock
  readonly #watch: ProgressWatch
  /** In the order it runs them. */
  readonly #assigned: QueuedJob[] = []
  /** Timers of cancelled jobs, and of the end that was asked for. */
  readonly #deadlines = new Map<QueuedJob | PoolWorker, () => void>()
  #state: 'starting' | 'ready' | 'draining' | 'dead' = 'starting'
  #threads: number
  #killedAsStuck = false
  #readySince = Infinity
  /** What it runs now; after its death, what it ran then. */
  #running: QueuedJob | undefined
  #runningSince = 0
  #limits: EffectiveLimits | undefined
  #limitsReadAt = 0

  constructor(options: PoolWorkerOptions) {
    const { process, group, taskOptions, threads, stuckAfterMs, clock } = options
    this.process = process
    this.group = group
    this.taskOptions = taskOptions
    this.#options = options
    this.#threads = threads
    this.#clock = clock
    this.#watch = new ProgressWatch(() => readProcess(process.pid)?.cpuSeconds, stuckAfterMs, clock,
      () => this.#killStuck(`did nothing for ${stuckAfterMs} ms`))
    this.#watch.start()
    this.death = process.ended.then((end) => this.#die(end))
  }

  /** A `draining` worker takes no more jobs and ends when it has none. */
  get state(): 'starting' | 'ready' | 'draining' | 'dead' {
    return this.#state
  }

  get assigned(): number {
    return this.#assigned.length
  }

  get threads(): number {
    return this.#threads
  }

  /** Read from the kernel, a moment ago at most. */
  get limits(): EffectiveLimits {
    const now = this.#clock.now()
    if (!this.#limits || now - this.#limitsReadAt > LIMITS_FRESH_MS) {
      this.#limits = this.group.readUtil()
      this.#limitsReadAt = now
    }
    return this.#limits
  }

  /** Its model is loaded: it takes jobs. */
  becomeReady(): void {
    this.#state = 'ready'
    this.#readySince = this.#clock.now()
    this.#watch.stop()
  }

  /** Asks it to end after the jobs it has. It is killed where it does not. */
  drain(): void {
    if (this.#state !== 'ready') return
    this.#state = 'draining'
    this.process.stop()
    this.#expectEnd()
  }

  setThreads(threads: number): void {
    this.#threads = threads
    this.process.setThreads(threads)
    this.latency.forgetMean()
  }

  /** To be called when its limits, or its task's, were changed. */
  limitsChanged(): void {
    const before = this.#limits?.cpuUtilLimit
    this.#limits = undefined
    if (this.limits.cpuUtilLimit !== before) this.latency.forgetMean()
  }

  info(): Omit<WorkerInfo, 'task' | 'restarts'> {
    const { process: { pid, model, provider, startedAt }, limits, assigned: taskToDo, latency } = this
    return { pid, model, provider, ...limits, taskToDo, latency: latency.percentiles, startedAt }
  }

  /** Undefined where its process is gone. */
  usage(): Omit<WorkerUsage, 'task'> | undefined {
    const { process: { pid }, limits } = this
    const used = readProcess(pid)
    if (!used) return undefined
    const { cpuSeconds, rssBytes: memoryBytes } = used
    return { pid, ...limits, cpuSeconds, memoryBytes, throttledSeconds: this.group.stats().throttledSeconds ?? 0 }
  }

  /** As the dispatch sees it; `jobTime`: milliseconds a job takes; `cores`: of the machine. */
  candidate(now: number, jobTime: number, cores: number): Candidate & { worker: PoolWorker } {
    const elapsed = now - this.#runningSince
    const isBusy = this.assigned > 0
    // One that is late already is likely to be later still.
    const rest = isBusy ? Math.abs(jobTime - elapsed) : 0
    return {
      worker: this,
      hasRoom: this.#state === 'ready' && this.assigned < MAX_ASSIGNED,
      freeIn: rest + jobTime * Math.max(0, this.assigned - 1),
      jobTime,
      isBusy,
      isOverdue: isBusy && elapsed > OVERDUE_FACTOR * Math.max(jobTime, this.latency.mean ?? 0),
      cpuShare: Math.min(this.limits.cpuUtilLimit, THREAD_USE * this.#threads / cores),
    }
  }

  /** Sends a job to the process; `onEnd` is called when the process has ended it, however it ends. */
  assign(job: QueuedJob, onEnd: (outcome: Outcome) => void): void {
    const { result, cancel } = this.process.run(job.job)
    this.#assigned.push(job)
    job.cancelAtWorker = () => {
      cancel()
      this.#expectEndOf(job)
    }
    this.#runNext()
    result.then((value) => {
      this.latency.add(value.usage.wallSeconds * 1000)
      this.#release(job)
      onEnd({ result: value })
    }, async (error: unknown) => {
      // What it died of decides what becomes of the job.
      const death = error instanceof EdgeInferError && error.code === 'WORKER_DIED' ? await this.death : undefined
      this.#release(job)
      onEnd(death ? { death, wasRunning: this.#running === job } : { error })
    })
  }

  #release(job: QueuedJob): void {
    this.#assigned.splice(this.#assigned.indexOf(job), 1)
    this.#endDeadline(job)
    if (this.#state === 'dead') return
    this.#runNext()
    if (this.#state === 'draining') this.#expectEnd()
  }

  #runNext(): void {
    if (this.#running === this.#assigned[0]) return
    this.#running = this.#assigned[0]
    this.#runningSince = this.#clock.now()
    this.#watch.stop()
    if (this.#running) this.#watch.start()
  }

  #expectEndOf(job: QueuedJob): void {
    const limitMs = CANCEL_FACTOR * this.#options.stuckAfterMs
    this.#deadlines.set(job, this.#clock.after(limitMs, () => {
      if (this.#running === job) this.#killStuck(`still runs a cancelled request after ${limitMs} ms`)
    }))
  }

  #expectEnd(): void {
    if (this.assigned > 0) return
    this.#deadlines.set(this, this.#clock.after(STOP_GRACE_MS, () =>
      this.#killStuck(`has no request but has not ended ${STOP_GRACE_MS} ms after it was asked to`)))
  }

  #endDeadline(key: QueuedJob | PoolWorker): void {
    this.#deadlines.get(key)?.()
    this.#deadlines.delete(key)
  }

  #killStuck(why: string): void {
    this.#killedAsStuck = true
    this.#options.onStuck(this, why)
    this.process.kill()
  }

  #die(end: WorkerEnd): Death {
    const [wasReady, livedMs] = [this.#state === 'ready', this.#clock.now() - this.#readySince]
    this.#state = 'dead'
    this.#watch.close()
    for (const key of [...this.#deadlines.keys()]) this.#endDeadline(key)
    const wasHealthy = this.latency.count > 0 || livedMs >= HEALTHY_MS
    const { oomKills, memoryPeakBytes } = this.#stats()
    const death = classifyDeath(end, oomKills, this.#killedAsStuck, (this.#limits?.memUtilLimit ?? 1) < 1)
    return { ...death, memoryPeakBytes, wasReady, wasHealthy }
  }

  #stats(): GroupStats {
    try {
      return this.group.stats()
    } catch {
      // Somebody else removed the group.
      return {}
    }
  }
}

/**
 * What a process died of. `killedAsStuck`: the pool killed it itself, since it did nothing or would not end a job;
 * `hasMemoryLimit`: it, or its task.
 */
export function classifyDeath(
  end: WorkerEnd, oomKills: number | undefined, killedAsStuck: boolean, hasMemoryLimit: boolean,
): Pick<Death, 'cause' | 'description' | 'end' | 'oomKills' | 'crashedOnJob'> {
  const outOfMemory = (oomKills ?? 0) > 0
  // Where nobody counts them, a SIGKILL may be the kernel's, for want of memory.
  const killedByOthers = end.signal === 'SIGKILL' && oomKills === 0 && !killedAsStuck
  return {
    cause: outOfMemory ? OUT_OF_MEMORY : end.signal ?? `exit ${end.code}`,
    description: outOfMemory
      ? `ran out of memory ${hasMemoryLimit ? 'under its limit' : 'that this node may use'}`
      : describeEnd(end),
    end,
    oomKills,
    crashedOnJob: !killedByOthers,
  }
}
