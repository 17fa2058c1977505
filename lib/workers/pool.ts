/**
 * The workers of one task. Jobs wait in one queue; each goes to the worker that will finish it first, as soon as that
 * worker has room. A worker that dies is replaced, and the job it ran is run once more.
 */
import type { Logger } from 'pino'
import { EdgeInferError } from '../errors.js'
import type { TaskName } from '../models/index.js'
import type { TaskOptions } from '../tasks/index.js'
import type { Job } from '../tasks/job.js'
import { BackOff } from './back-off.js'
import type { ResourceLimits, TaskGroup } from './limits/index.js'
import { PoolJob } from './pool-job.js'
import { PoolWorker, WINDOW } from './pool-worker.js'
import type { JobRun, LimitReadings, RunOptions, WorkerInfo } from './types.js'
import { describeEnd, WorkerProcess, type WorkerEnd } from './worker-process.js'

export interface PoolOptions {
  task: TaskName
  group: TaskGroup
  /** Requests a worker may have waiting or running. */
  queueSize: number
  /** Threads for one worker's model under a limit, as a share of all cores. */
  threadsFor(cpuShare: number, wanted: number | undefined): number
  log: Logger
}

/** A guess at a job's length before any was run, milliseconds. */
const TYPICAL_MS = 50
/** A worker that holds one job this long is stuck, and is killed. */
const STUCK_MS = 300_000
/** Workers that a job may be the death of. */
const MAX_DEATHS = 2

export class WorkerPool {
  readonly task: TaskName
  /** Deaths of workers since the start. */
  restarts = 0
  readonly #options: PoolOptions
  readonly #workers: PoolWorker[] = []
  readonly #waiting: PoolJob[] = []
  readonly #backOff = new BackOff()
  /** Replacements under way: jobs wait for them. */
  #replacing = 0
  #closing = false
  #stopNow = false
  #nextName = 1
  #idle: (() => void) | undefined
  /** The newest worker's options: what a replacement or an added worker gets. */
  #taskOptions: TaskOptions

  constructor(taskOptions: TaskOptions, options: PoolOptions) {
    this.task = options.task
    this.#taskOptions = taskOptions
    this.#options = options
  }

  get live(): number {
    return this.#workers.filter(({ state }) => state === 'ready').length
  }

  /** Whether a worker that died is being replaced. */
  get recovering(): boolean {
    return this.#replacing > 0
  }

  get taskOptions(): TaskOptions {
    return this.#taskOptions
  }

  get workers(): readonly PoolWorker[] {
    return this.#workers
  }

  /** @throws EdgeInferError NO_WORKER, QUEUE_FULL, TIMEOUT, ABORTED, WORKER_DIED, CLOSED, and the job's own errors. */
  run(job: Job, options: RunOptions = {}): Promise<JobRun> {
    if (this.#closing) throw new EdgeInferError('CLOSED', `The workers of ${this.task} are being stopped`)
    const able = this.#workers.filter(({ state }) => state === 'ready').length + this.#replacing
    if (able === 0) throw new EdgeInferError('NO_WORKER', `${this.task} has no worker that is ready`)
    const capacity = able * this.#options.queueSize
    if (this.#pending >= capacity) {
      throw new EdgeInferError('QUEUE_FULL', `All ${able} workers of ${this.task} have full queues (${this.#pending} ` +
        `requests of at most ${capacity})`, { details: { retryAfterSeconds: this.#drainSeconds() } })
    }
    const pooled = new PoolJob(job, options, (abandoned) => this.#remove(abandoned))
    this.#waiting.push(pooled)
    this.#dispatch()
    return pooled.outcome
  }

  /** Starts one more worker; resolves when it is ready. @throws EdgeInferError MODEL_*, WORKER_DIED, CLOSED. */
  async add(taskOptions: TaskOptions = this.#taskOptions): Promise<PoolWorker> {
    if (this.#closing) throw new EdgeInferError('CLOSED', `The workers of ${this.task} are being stopped`)
    const worker = await this.#start(taskOptions)
    this.#taskOptions = taskOptions
    return worker
  }

  /** The newest worker finishes what it holds and ends; resolves when it is gone. @throws EdgeInferError LAST_WORKER. */
  async decrease(): Promise<number> {
    const ready = this.#workers.filter(({ state }) => state === 'ready')
    const newest = ready.at(-1)
    if (!newest || ready.length === 1) {
      throw new EdgeInferError('LAST_WORKER', `${this.task} keeps its last worker; stop the server to end it`)
    }
    newest.state = 'draining'
    newest.process.stop()
    await newest.process.ended
    this.rebalanceThreads()
    return newest.process.pid
  }

  find(pid: number): PoolWorker | undefined {
    return this.#workers.find((worker) => worker.process.pid === pid && worker.state !== 'dead')
  }

  info(worker: PoolWorker): WorkerInfo {
    return {
      task: this.task,
      pid: worker.process.pid,
      model: worker.process.model,
      ...limitsOf(worker),
      taskToDo: worker.held.length + (this.#shares().get(worker) ?? 0),
      latency: worker.latency.percentiles,
      startedAt: worker.process.startedAt,
      restarts: this.restarts,
    }
  }

  /** After a limit or the number of workers has changed: threads follow the share of the cores. */
  rebalanceThreads(): void {
    for (const worker of this.#workers.filter(({ state }) => state === 'ready')) {
      const threads = this.#threads(worker.group.read().cpuUtilLimit)
      if (threads === worker.threads) continue
      worker.threads = threads
      worker.process.setThreads(threads)
    }
  }

  /** Takes no more jobs; resolves when those it has are done (at once with `now`) and the workers are gone. */
  async close(now: boolean): Promise<void> {
    this.#closing = true
    this.#stopNow ||= now
    if (now) {
      for (const job of this.#waiting.splice(0)) job.fail(new EdgeInferError('CLOSED', 'The server is stopping'))
      for (const worker of this.#workers) worker.process.kill()
    } else if (this.#pending > 0) {
      await new Promise<void>((resolve) => { this.#idle = resolve })
    }
    for (const worker of this.#workers) worker.process.stop()
    await Promise.all(this.#workers.map(({ process }) => process.ended))
  }

  get #pending(): number {
    return this.#waiting.length + this.#workers.reduce((sum, { held }) => sum + held.length, 0)
  }

  /** Whether a worker would have something to do: what was promised is kept while the pool drains. */
  get #needed(): boolean {
    return !this.#stopNow && (!this.#closing || this.#pending > 0)
  }

  get #typical(): number {
    const means = this.#workers.flatMap(({ latency }) => latency.mean ?? [])
    return means.length > 0 ? means.reduce((sum, mean) => sum + mean, 0) / means.length : TYPICAL_MS
  }

  #drainSeconds(): number {
    return Math.max(1, Math.ceil(this.#typical * this.#options.queueSize / 1000))
  }

  #threads(cpuUtilLimit: number): number {
    const workers = Math.max(1, this.#workers.filter(({ state }) => state === 'ready' || state === 'starting').length)
    const taskShare = this.#options.group.read().cpuUtilLimit
    const share = taskShare < 1 ? Math.min(cpuUtilLimit, taskShare / workers) : cpuUtilLimit
    return this.#options.threadsFor(share, this.#taskOptions.threads)
  }

  async #start(taskOptions: TaskOptions, limits?: ResourceLimits): Promise<PoolWorker> {
    const group = this.#options.group.createWorkerGroup(`worker-${this.#nextName++}`)
    let worker: PoolWorker
    try {
      if (limits) await group.apply(limits)
      const threads = this.#threads(group.read().cpuUtilLimit)
      const process = new WorkerProcess({
        task: this.task,
        options: { ...taskOptions, threads },
        slots: WINDOW,
        confine: (pid) => group.enter(pid),
      })
      worker = new PoolWorker(process, group, threads)
    } catch (error) {
      await group.remove()
      throw error
    }
    this.#workers.push(worker)
    void worker.process.ended.then((end) => this.#onEnd(worker, end))
    await worker.process.ready
    if (this.#stopNow) worker.process.kill()
    if (worker.state === 'starting') worker.state = 'ready'
    for (const warning of worker.process.warnings) this.#options.log.warn({ pid: worker.process.pid }, warning)
    this.rebalanceThreads()
    this.#dispatch()
    return worker
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const ready = this.#workers.filter(({ state }) => state === 'ready')
      const [now, typical] = [performance.now(), this.#typical]
      let best: PoolWorker | undefined
      for (const worker of ready) {
        if (!best || worker.finishesIn(now, typical) < best.finishesIn(now, typical)) best = worker
      }
      if (!best?.hasRoom) return
      this.#hand(this.#waiting.shift() as PoolJob, best)
    }
  }

  #hand(job: PoolJob, worker: PoolWorker): void {
    const stuck = setTimeout(() => {
      this.#options.log.error({ pid: worker.process.pid, task: this.task }, 'worker is stuck in one request: killing it')
      worker.process.kill()
    }, STUCK_MS)
    stuck.unref()
    worker.take(job, (outcome) => {
      clearTimeout(stuck)
      job.cancel = undefined
      if ('result' in outcome) {
        job.finish({ ...outcome.result, pid: worker.process.pid, limits: limitsOf(worker) })
      } else if (outcome.error instanceof EdgeInferError && outcome.error.code === 'WORKER_DIED') {
        this.#retry(job, worker.running === job, outcome.error)
      } else {
        job.fail(outcome.error)
      }
      this.#dispatch()
      this.#checkIdle()
    })
  }

  #retry(job: PoolJob, wasRunning: boolean, error: EdgeInferError): void {
    if (wasRunning) job.deaths += 1
    if (job.settled) return
    if (job.deaths >= MAX_DEATHS) {
      job.fail(new EdgeInferError('WORKER_DIED', `${MAX_DEATHS} workers died of the request. ${error.message}`))
      return
    }
    const later = this.#waiting.findIndex(({ sequence }) => sequence > job.sequence)
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, job)
  }

  #remove(job: PoolJob): void {
    const index = this.#waiting.indexOf(job)
    if (index >= 0) this.#waiting.splice(index, 1)
    this.#checkIdle()
  }

  #checkIdle(): void {
    if (this.#pending === 0) this.#idle?.()
  }

  /** How many waiting jobs each worker is likely to get, by the same estimate that hands them out. */
  #shares(): Map<PoolWorker, number> {
    const ready = this.#workers.filter(({ state }) => state === 'ready')
    const shares = new Map(ready.map((worker) => [worker, 0]))
    const [now, typical] = [performance.now(), this.#typical]
    for (let left = this.#waiting.length; left > 0 && ready.length > 0; left -= 1) {
      const finish = (worker: PoolWorker): number => worker.finishesIn(now, typical, shares.get(worker))
      const best = ready.reduce((first, next) => finish(next) < finish(first) ? next : first)
      shares.set(best, (shares.get(best) as number) + 1)
    }
    return shares
  }

  async #onEnd(worker: PoolWorker, end: WorkerEnd): Promise<void> {
    const expected = worker.state === 'draining' || !this.#needed
    const neverReady = worker.state === 'starting'
    worker.state = 'dead'
    this.#workers.splice(this.#workers.indexOf(worker), 1)
    const stats = worker.group.stats()
    const limits = ownLimits(worker)
    await worker.group.remove()
    if (expected || neverReady) return
    this.restarts += 1
    const wait = this.#backOff.after(worker.latency.mean !== undefined)
    const reason = (stats.oomKills ?? 0) > 0 ? 'ran out of memory under its limit' : describeEnd(end)
    this.#options.log.error({ task: this.task, pid: worker.process.pid, ...end, oomKills: stats.oomKills },
      `worker ${reason}; replacing it${wait > 0 ? ` in ${wait} ms` : ''}`)
    await this.#replace(wait, limits)
  }

  async #replace(wait: number, limits: ResourceLimits): Promise<void> {
    this.#replacing += 1
    try {
      for (let delay = wait; this.#needed; delay = this.#backOff.after(false)) {
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay).unref())
        if (!this.#needed) return
        try {
          const worker = await this.#start(this.#taskOptions, limits)
          this.#options.log.info({ task: this.task, pid: worker.process.pid }, 'worker replaced')
          return
        } catch (error) {
          this.#options.log.error({ task: this.task, err: error }, 'worker could not be replaced; trying again')
        }
      }
    } finally {
      this.#replacing -= 1
    }
  }
}

function limitsOf(worker: PoolWorker): LimitReadings {
  const { cpuUtilLimit, memUtilLimit } = worker.group.read()
  return { cpuUtilLimit, memUtilLimit }
}

/** What a worker's replacement is to be held to. */
function ownLimits(worker: PoolWorker): ResourceLimits {
  const { cpuUtilLimit, memUtilLimit } = worker.group.read()
  return { ...(cpuUtilLimit < 1 && { cpuUtilLimit }), ...(memUtilLimit < 1 && { memUtilLimit }) }
}
