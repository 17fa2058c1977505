/**
 * The workers of one task. Jobs wait in one queue; each goes to the worker that will finish it first, as soon as that
 * worker has room. A worker that dies is replaced, and the job it ran is run once more.
 */
import type { Logger } from 'pino'
import { EdgeInferError } from '../../errors.js'
import type { Job } from '../../inference/job.js'
import type { TaskName } from '../../tasks/registry.js'
import type { TaskOptions } from '../../tasks/index.js'
import type { ResourceLimits, TaskGroup } from '../limits/index.js'
import { WorkerProcess } from '../process/worker-process.js'
import type { JobRun, RunOptions, WorkerInfo, WorkerUsage } from '../types.js'
import { systemClock } from './clock.js'
import { candidatesOf, estimateShares, nextDispatch, typicalJobTime, withinCpuQuota } from './dispatch.js'
import { MAX_ASSIGNED, type PoolWorker, type WorkerDied } from './pool-worker.js'
import { JobQueue, type QueuedJob } from './queue.js'
import { died, stopping, Supervisor } from './supervisor.js'
import { ThreadPolicy } from './thread-policy.js'

export interface PoolOptions {
  task: TaskName
  group: TaskGroup
  /** Requests a worker may have waiting or running. */
  queueSize: number
  /** Milliseconds a worker may have a job without using any CPU time. */
  stuckAfterMs: number
  /** What the node may use now. */
  cores: () => number
  /** Threads of a worker whose options name no number. */
  defaultThreads: number
  log: Logger
}

/** Jobs that wait although a worker has room are looked at again after so long: estimates may be wrong. */
const LOOK_AGAIN_MS = 20
/** A job is not run again once so many workers have died of it. */
const MAX_CRASHES = 2
/** Waiting jobs fail when a task has no worker and this many attempts to replace one have failed. */
const MAX_FAILED_STARTS = 5

export class WorkerPool {
  readonly task: TaskName
  readonly supervisor: Supervisor
  readonly #options: PoolOptions
  readonly #clock = systemClock
  readonly #queue: JobQueue
  readonly #threads: ThreadPolicy
  #closing = false
  #stopNow = false
  #cancelLookAgain: () => void = () => {}

  constructor(options: PoolOptions) {
    const { task, group, queueSize, stuckAfterMs, cores, defaultThreads, log } = options
    this.task = task
    this.#options = options
    this.#queue = new JobQueue(task, queueSize, this.#clock)
    this.#threads = new ThreadPolicy(group.readUtil().cpuUtilLimit, { cores, defaultThreads, clock: this.#clock })
    this.supervisor = new Supervisor({
      task, stuckAfterMs, log, clock: this.#clock,
      createGroup: (name) => group.createWorkerGroup(name),
      startProcess: (taskOptions, workerGroup) => new WorkerProcess({
        task, options: taskOptions, slots: MAX_ASSIGNED, confine: (pid) => workerGroup.enter(pid),
      }),
      threadsFor: (taskOptions, cpuUtilLimit, workers) => this.#threads.threads(taskOptions, cpuUtilLimit, workers),
      // What was promised is kept while the pool drains.
      isNeeded: () => !this.#stopNow && (!this.#closing || this.#queue.pending > 0),
      requireMemory: (bytes) => group.requireMemory(bytes),
      onReplacementFailed: (error, failures) => {
        // A caller without a deadline would wait for ever, and so would whoever closes the pool.
        if (failures < MAX_FAILED_STARTS || this.supervisor.ready.length > 0) return
        const message = `${task} has no worker, and none can be started: ${error.message}`
        this.#queue.rejectWaiting(new EdgeInferError('NO_WORKER', message))
      },
      onReady: () => {
        this.#settleThreads()
        this.#dispatch()
      },
    })
  }

  /** @throws EdgeInferError NO_WORKER, QUEUE_FULL, TIMEOUT, ABORTED, WORKER_DIED, CLOSED, and the job's own errors. */
  async run(job: Job, options: RunOptions = {}): Promise<JobRun> {
    this.#requireOpen()
    const workers = this.supervisor.ready.length + this.supervisor.replacing
    if (workers === 0) throw new EdgeInferError('NO_WORKER', `${this.task} has no worker that is ready`)
    const queued = this.#queue.add(job, options, workers, typicalJobTime(this.supervisor.workers))
    this.#dispatch()
    return queued.outcome
  }

  /** Starts one more worker; resolves when it is ready. @throws EdgeInferError MODEL_*, WORKER_DIED, CLOSED. */
  async add(taskOptions: TaskOptions): Promise<PoolWorker> {
    this.#requireOpen()
    return this.supervisor.add(taskOptions).catch((error: unknown) => {
      throw this.#closing ? stopping(this.task) : error
    })
  }

  /**
   * The newest worker finishes its jobs and ends; resolves when it is gone. Where one that died waits to be replaced,
   * it is not replaced. @throws EdgeInferError LAST_WORKER
   */
  async decrease(): Promise<number | undefined> {
    this.#requireOpen()
    if (this.supervisor.replacing > 0 && this.supervisor.ready.length + this.supervisor.replacing > 1) {
      return this.supervisor.cancelReplacement()
    }
    const { ready } = this.supervisor
    const newest = ready.at(-1)
    if (!newest || ready.length === 1) {
      throw new EdgeInferError('LAST_WORKER', `${this.task} keeps its last worker; stop the server to end it`)
    }
    newest.drain()
    this.#dispatch()
    await newest.death
    this.#settleThreads()
    return newest.process.pid
  }

  /** Of the workers that take jobs. */
  infos(): WorkerInfo[] {
    const shares = estimateShares(this.#candidates(), this.#queue.waiting)
    const byWorker = new Map([...shares].map(([{ worker }, share]) => [worker, share]))
    return this.supervisor.ready.map((worker) => this.info(worker, byWorker.get(worker)))
  }

  /** `share`: waiting jobs it is likely to get. */
  info(worker: PoolWorker, share = 0): WorkerInfo {
    const { taskToDo, ...info } = worker.info()
    return { task: this.task, ...info, taskToDo: taskToDo + share, restarts: this.supervisor.restartCount }
  }

  /** What the ready workers have used since they started. */
  usage(): WorkerUsage[] {
    return this.supervisor.ready.flatMap((worker) => {
      const usage = worker.usage()
      return usage ? [{ task: this.task, ...usage }] : []
    })
  }

  /**
   * To be called after limits of the task or of one of its workers were changed. Limits of the task, if they are
   * `ofTask`, end those its workers had of their own.
   */
  limitsChanged(ofTask: ResourceLimits = {}): void {
    this.#threads.taskShare = this.#options.group.readUtil().cpuUtilLimit
    this.supervisor.taskLimited(ofTask)
    for (const worker of this.supervisor.workers) worker.limitsChanged()
    this.#settleThreads()
  }

  /** Takes no more jobs; resolves when those it has are done (at once with `now`) and the workers are gone. */
  async close(now: boolean): Promise<void> {
    this.#closing = true
    this.#threads.close()
    if (now) {
      this.#stopNow = true
      this.#queue.rejectWaiting(stopping(this.task))
      this.supervisor.killAll()
    }
    await this.#queue.empty()
    await this.supervisor.close()
  }

  #requireOpen(): void {
    if (this.#closing) throw stopping(this.task)
  }

  #settleThreads(): void {
    this.#threads.settle(() => ({ ready: this.supervisor.ready, workers: this.supervisor.active }))
  }

  #candidates() {
    const candidates = candidatesOf(this.supervisor.workers, this.#clock.now(), this.#options.cores())
    return withinCpuQuota(candidates, this.#threads.taskShare)
  }

  #dispatch(): void {
    this.#cancelLookAgain()
    while (this.#queue.waiting > 0) {
      const candidates = this.#candidates()
      const next = nextDispatch(candidates, this.#queue.waiting)
      if (!next) {
        const idle = candidates.some(({ hasRoom }) => hasRoom)
        if (idle) this.#cancelLookAgain = this.#clock.after(LOOK_AGAIN_MS, () => this.#dispatch())
        return
      }
      this.#assign(this.#queue.assign(next.index), next.worker.worker)
    }
  }

  #assign(job: QueuedJob, worker: PoolWorker): void {
    worker.assign(job, (outcome) => {
      if ('death' in outcome) {
        this.#afterDeath(job, worker, outcome)
      } else {
        if ('result' in outcome) job.finish({ ...outcome.result, pid: worker.process.pid, limits: worker.limits })
        else job.fail(outcome.error)
        this.#queue.release(job)
      }
      this.#dispatch()
    })
  }

  #afterDeath(job: QueuedJob, worker: PoolWorker, { death, wasRunning }: WorkerDied): void {
    if (wasRunning && death.crashedOnJob) job.crashes += 1
    if (this.#stopNow) {
      job.fail(stopping(this.task))
    } else if (job.crashes >= MAX_CRASHES) {
      const message = `${MAX_CRASHES} workers died of the request. ${died(worker, death)}`
      job.fail(new EdgeInferError('WORKER_DIED', message))
    }
    this.#queue.requeue(job)
  }
}
