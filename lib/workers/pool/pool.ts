/**
 * The workers of one task. Jobs wait in one queue; each goes to the worker that will finish it first, as soon as that
 * worker has room. A worker that dies is replaced, and the job it ran is run once more.
 */
import type { Logger } from 'pino'
import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeInferError } from '../../errors.js'
import type { TaskName } from '../../tasks/registry.js'
import { toEdgeInferError } from '../../native.js'
import { readProcess } from '../../host/index.js'
import type { TaskOptions } from '../../tasks/index.js'
import type { Job } from '../../inference/job.js'
import { BackOff } from './restart-backoff.js'
import { affordable, nextHandOut, shareOut } from './dispatch.js'
import type { ResourceLimits, TaskGroup } from '../limits/index.js'
import { PoolJob } from './pool-job.js'
import { PoolWorker, WINDOW } from './pool-worker.js'
import type { JobRun, RunOptions, WorkerInfo, WorkerUsage } from '../types.js'
import { describeEnd, WorkerProcess, type WorkerEnd } from '../process/worker-process.js'

export interface PoolOptions {
  task: TaskName
  group: TaskGroup
  /** Requests a worker may have waiting or running. */
  queueSize: number
  /** Milliseconds a worker may hold a job without using any CPU time. */
  stuckAfterMs: number
  /** Of the machine. */
  cores: number
  /** Threads for one worker's model under a limit, as a share of all cores. */
  threadsFor(cpuShare: number, wanted: number | undefined): number
  log: Logger
}

/** A guess at a job's length before any was run, milliseconds. */
const TYPICAL_MS = 50
/** Jobs that wait although a worker has room are looked at again after so long: estimates may be wrong. */
const LOOK_AGAIN_MS = 20
/** A worker that has not let go of a given-up job after so many times the patience with an idle one is stuck, too. */
const OVERRUN_FACTOR = 10
/** Workers that a job may be the death of. */
const MAX_DEATHS = 2
/** Limits are left alone this long before threads follow: another number of threads means loading the model again. */
const THREADS_SETTLE_MS = 500

/** What is to take the place of a worker that died. */
interface Replacement {
  taskOptions: TaskOptions
  limits: ResourceLimits
  /** Milliseconds to wait before. */
  wait: number
}

export class WorkerPool {
  readonly task: TaskName
  /** Deaths of workers since the start. */
  restarts = 0
  /** The same by what the workers died of. */
  readonly restartReasons = new Map<string, number>()
  readonly #options: PoolOptions
  readonly #workers: PoolWorker[] = []
  readonly #waiting: PoolJob[] = []
  readonly #backOff = new BackOff()
  /** Jobs wait for them. */
  readonly #replacements = new Set<Replacement>()
  /** Starts of workers, replacements and removals of groups under way. */
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #drained: Promise<void>
  #markDrained!: () => void
  /** Aborts when nothing more is to be started. */
  readonly #ended = new AbortController()
  #closing = false
  #stopNow = false
  #nextName = 1
  #taskShare: number
  #lookAgain: NodeJS.Timeout | undefined
  #threadsTimer: NodeJS.Timeout | undefined

  constructor(options: PoolOptions) {
    this.task = options.task
    this.#options = options
    this.#taskShare = options.group.readUtil().cpuUtilLimit
    this.#drained = new Promise((resolve) => { this.#markDrained = resolve })
  }

  get live(): number {
    return this.#ready.length
  }

  /** Whether a worker that died is being replaced. */
  get recovering(): boolean {
    return this.#replacements.size > 0
  }

  /** The newest worker's, or those of the next; undefined where there is none. */
  get taskOptions(): TaskOptions | undefined {
    return this.#ready.at(-1)?.taskOptions ?? [...this.#replacements].at(-1)?.taskOptions
  }

  find(pid: number): PoolWorker | undefined {
    return this.#workers.find(({ process }) => process.pid === pid)
  }

  /** @throws EdgeInferError NO_WORKER, QUEUE_FULL, TIMEOUT, ABORTED, WORKER_DIED, CLOSED, and the job's own errors. */
  async run(job: Job, options: RunOptions = {}): Promise<JobRun> {
    this.#requireOpen()
    const able = this.live + this.#replacements.size
    if (able === 0) throw new EdgeInferError('NO_WORKER', `${this.task} has no worker that is ready`)
    const capacity = able * this.#options.queueSize
    if (this.#pending >= capacity) {
      throw new EdgeInferError('QUEUE_FULL', `All ${able} workers of ${this.task} have full queues (${this.#pending} ` +
        `requests of at most ${capacity})`, { details: { retryAfterSeconds: this.#drainSeconds() } })
    }
    const pooled = new PoolJob(job, options, (abandoned) => this.#remove(abandoned))
    if (!pooled.settled) {
      this.#waiting.push(pooled)
      this.#dispatch()
    }
    return pooled.outcome
  }

  /** Starts one more worker; resolves when it is ready. @throws EdgeInferError MODEL_*, WORKER_DIED, CLOSED. */
  async add(taskOptions: TaskOptions): Promise<PoolWorker> {
    this.#requireOpen()
    return this.#track(this.#start(taskOptions, {}))
  }

  /**
   * Starts so many workers. Where one of them comes up, the others are tried again until they do, too.
   * @throws EdgeInferError why none came up.
   */
  async addAll(count: number, taskOptions: TaskOptions): Promise<void> {
    const starts = await Promise.allSettled(Array.from({ length: count }, () => this.add(taskOptions)))
    const failures = starts.flatMap((start) => start.status === 'rejected' ? [start.reason as unknown] : [])
    if (failures.length > 0 && failures.length === count) throw failures[0]
    for (const error of failures) {
      this.#options.log.error({ task: this.task, err: error }, 'worker could not be started; trying again')
      void this.#track(this.#replace({ taskOptions, limits: {}, wait: this.#backOff.after(false) }))
    }
  }

  /** The newest worker finishes what it holds and ends; resolves when it is gone. @throws EdgeInferError LAST_WORKER */
  async decrease(): Promise<number> {
    this.#requireOpen()
    const ready = this.#ready
    const newest = ready.at(-1)
    if (!newest || ready.length === 1) {
      throw new EdgeInferError('LAST_WORKER', `${this.task} keeps its last worker; stop the server to end it`)
    }
    newest.state = 'draining'
    newest.process.stop()
    this.#dispatch()
    await newest.process.ended
    this.#settleThreads()
    return newest.process.pid
  }

  /** Of the workers that take jobs. */
  infos(): WorkerInfo[] {
    const shares = shareOut(this.#candidates(), this.#waiting.length)
    const byWorker = new Map([...shares].map(([{ worker }, share]) => [worker, share]))
    return this.#ready.map((worker) => this.info(worker, byWorker.get(worker)))
  }

  /** What the ready workers have used since they started. */
  usage(): WorkerUsage[] {
    return this.#ready.flatMap(({ process: { pid }, group, limits }) => {
      const times = readProcess(pid)
      if (!times) return []
      const throttledSeconds = group.stats().throttledSeconds ?? 0
      const { cpuSeconds, rssBytes: memoryBytes } = times
      return [{ task: this.task, pid, ...limits, cpuSeconds, memoryBytes, throttledSeconds }]
    })
  }

  /** `share`: waiting jobs it is likely to get. */
  info(worker: PoolWorker, share = 0): WorkerInfo {
    return {
      task: this.task,
      pid: worker.process.pid,
      model: worker.process.model,
      ...worker.limits,
      taskToDo: worker.held.length + share,
      latency: worker.latency.percentiles,
      startedAt: worker.process.startedAt,
      restarts: this.restarts,
    }
  }

  /** To be called after the limits of the task or of one of its workers were changed. */
  limitsChanged(): void {
    this.#taskShare = this.#options.group.readUtil().cpuUtilLimit
    for (const worker of this.#workers) worker.limitsChanged()
    this.#settleThreads()
  }

  /** A limit of the task ends those its workers had of their own: a replacement does not bring them back. */
  taskLimited(limits: ResourceLimits): void {
    for (const replacement of this.#replacements) {
      const kept = Object.entries(replacement.limits).filter(([key]) => !(key in limits))
      replacement.limits = Object.fromEntries(kept)
    }
    this.limitsChanged()
  }

  /** Takes no more jobs; resolves when those it has are done (at once with `now`) and the workers are gone. */
  async close(now: boolean): Promise<void> {
    this.#closing = true
    clearTimeout(this.#threadsTimer)
    if (now) {
      this.#stopNow = true
      for (const job of this.#waiting.splice(0)) job.fail(stopping(this.task))
      for (const worker of this.#workers) worker.process.kill()
      this.#markDrained()
    }
    this.#checkDrained()
    await this.#drained
    this.#ended.abort()
    for (const { state, process } of this.#workers) {
      if (state === 'starting') process.kill()
      else process.stop()
    }
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
  }

  get #ready(): PoolWorker[] {
    return this.#workers.filter(({ state }) => state === 'ready')
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

  #requireOpen(): void {
    if (this.#closing) throw stopping(this.task)
  }

  #track<T>(step: Promise<T>): Promise<T> {
    this.#underWay.add(step)
    const done = (): void => { this.#underWay.delete(step) }
    step.then(done, done)
    return step
  }

  #threads(taskOptions: TaskOptions, cpuUtilLimit: number): number {
    const workers = Math.max(1, this.#workers.filter(({ state }) => state === 'ready' || state === 'starting').length)
    const taskShare = this.#taskShare
    const share = taskShare < 1 ? Math.min(cpuUtilLimit, taskShare / workers) : cpuUtilLimit
    return this.#options.threadsFor(share, taskOptions.threads)
  }

  /** Threads follow the share of the cores, once that is settled. */
  #settleThreads(): void {
    clearTimeout(this.#threadsTimer)
    this.#threadsTimer = setTimeout(() => {
      for (const worker of this.#ready) {
        const threads = this.#threads(worker.taskOptions, worker.limits.cpuUtilLimit)
        if (threads === worker.threads) continue
        worker.threads = threads
        worker.process.setThreads(threads)
        worker.latency.forgetMean()
      }
    }, THREADS_SETTLE_MS).unref()
  }

  async #start(taskOptions: TaskOptions, limits: ResourceLimits): Promise<PoolWorker> {
    const group = this.#options.group.createWorkerGroup(`worker-${this.#nextName++}`)
    let worker: PoolWorker
    try {
      await group.inherit(limits)
      if (!this.#needed) throw stopping(this.task)
      const threads = this.#threads(taskOptions, group.readUtil().cpuUtilLimit)
      const process = new WorkerProcess({
        task: this.task,
        options: { ...taskOptions, threads },
        slots: WINDOW,
        confine: (pid) => group.enter(pid),
      })
      const { stuckAfterMs } = this.#options
      worker = new PoolWorker({
        process, group, taskOptions, threads, stuckAfterMs,
        onStuck: (stuck) => this.#killStuck(stuck, `did nothing for ${stuckAfterMs} ms`),
      })
    } catch (error) {
      await group.remove()
      throw error
    }
    this.#workers.push(worker)
    const gone = this.#track(worker.process.ended.then((end) => this.#onEnd(worker, end)))
    try {
      await worker.process.ready
    } catch (error) {
      await gone
      throw this.#closing ? stopping(this.task) : error
    }
    worker.becomeReady()
    for (const warning of worker.process.warnings) this.#options.log.warn({ pid: worker.process.pid }, warning)
    this.#settleThreads()
    this.#dispatch()
    return worker
  }

  #candidates() {
    const [now, ready] = [performance.now(), this.#ready]
    const { cores } = this.#options
    const candidates = ready.map((worker) => worker.candidate(now, fastestMean(ready, worker) ?? this.#typical, cores))
    return affordable(candidates, this.#taskShare)
  }

  #dispatch(): void {
    clearTimeout(this.#lookAgain)
    while (this.#waiting.length > 0) {
      const candidates = this.#candidates()
      const next = nextHandOut(candidates, this.#waiting.length)
      if (!next) {
        const idle = candidates.some(({ hasRoom }) => hasRoom)
        if (idle) this.#lookAgain = setTimeout(() => this.#dispatch(), LOOK_AGAIN_MS)
        return
      }
      this.#hand(this.#waiting.splice(next.index, 1)[0] as PoolJob, next.worker.worker)
    }
  }

  #hand(job: PoolJob, worker: PoolWorker): void {
    worker.take(job, (outcome) => {
      job.cancel = undefined
      if ('result' in outcome) {
        job.finish({ ...outcome.result, pid: worker.process.pid, limits: worker.limits })
      } else if (outcome.error instanceof EdgeInferError && outcome.error.code === 'WORKER_DIED') {
        this.#retry(job, worker, outcome.error)
      } else {
        job.fail(outcome.error)
      }
      this.#dispatch()
      this.#checkDrained()
    })
  }

  #retry(job: PoolJob, worker: PoolWorker, error: EdgeInferError): void {
    if (worker.running === job && worker.diedOfWork) job.deaths += 1
    if (job.settled) return
    if (this.#stopNow) return job.fail(stopping(this.task))
    if (job.deaths >= MAX_DEATHS) {
      return job.fail(new EdgeInferError('WORKER_DIED', `${MAX_DEATHS} workers died of the request. ${error.message}`))
    }
    const later = this.#waiting.findIndex(({ sequence }) => sequence > job.sequence)
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, job)
  }

  #remove(job: PoolJob): void {
    const index = this.#waiting.indexOf(job)
    if (index >= 0) this.#waiting.splice(index, 1)
    const worker = this.#workers.find(({ held }) => held.includes(job))
    if (worker) this.#watchGivenUp(job, worker)
    this.#checkDrained()
  }

  #watchGivenUp(job: PoolJob, worker: PoolWorker): void {
    const patience = OVERRUN_FACTOR * this.#options.stuckAfterMs
    const timer = setTimeout(() => {
      if (worker.running === job) this.#killStuck(worker, `runs a given-up request for another ${patience} ms`)
    }, patience)
    timer.unref()
  }

  #killStuck(worker: PoolWorker, why: string): void {
    const { pid } = worker.process
    this.#options.log.error({ pid, task: this.task }, `worker ${why}: killing it`)
    worker.stuck = true
    worker.process.kill()
  }

  #checkDrained(): void {
    if (this.#closing && this.#pending === 0) this.#markDrained()
  }

  async #onEnd(worker: PoolWorker, end: WorkerEnd): Promise<void> {
    const { log } = this.#options
    const { group, process: { pid }, taskOptions } = worker
    const replaced = worker.state === 'ready' && this.#needed
    this.#workers.splice(this.#workers.indexOf(worker), 1)
    const { oomKills } = group.stats()
    worker.markDead(end.signal, oomKills)
    if (replaced) {
      this.restarts += 1
      const cause = (oomKills ?? 0) > 0 ? 'out of memory' : end.signal ?? `exit ${end.code}`
      this.restartReasons.set(cause, (this.restartReasons.get(cause) ?? 0) + 1)
      const wait = this.#backOff.after(worker.latency.percentiles !== undefined)
      const reason = (oomKills ?? 0) > 0 ? 'ran out of memory under its limit' : describeEnd(end)
      log.error({ task: this.task, pid, ...end, oomKills },
        `worker ${reason}; replacing it${wait > 0 ? ` in ${wait} ms` : ''}`)
      void this.#track(this.#replace({ taskOptions, limits: group.own(), wait }))
    }
    await group.remove().catch((error: unknown) => log.error({ task: this.task, pid, err: error }, 'group not removed'))
  }

  /** Tries until there is a worker, or none is needed any more. */
  async #replace(replacement: Replacement): Promise<void> {
    const { log } = this.#options
    this.#replacements.add(replacement)
    try {
      while (this.#needed) {
        if (replacement.wait > 0) await this.#pause(replacement.wait)
        if (!this.#needed) return
        try {
          const worker = await this.#start(replacement.taskOptions, replacement.limits)
          log.info({ task: this.task, pid: worker.process.pid }, 'worker replaced')
          return
        } catch (error) {
          if (!this.#needed) return
          replacement.wait = this.#backOff.after(false)
          log.error({ task: this.task, err: toEdgeInferError(error) },
            `worker could not be replaced; trying again in ${replacement.wait} ms`)
        }
      }
    } finally {
      this.#replacements.delete(replacement)
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#ended.signal }).catch(() => {})
  }
}

/**
 * Milliseconds of a job at the fastest of the workers that are set up as this one is. Its own mean is of its last jobs,
 * which may be long ago: taken for slow it would be given no others, and stay so.
 */
function fastestMean(workers: readonly PoolWorker[], { taskOptions, threads, limits }: PoolWorker): number | undefined {
  let fastest: number | undefined
  for (const other of workers) {
    const { mean } = other.latency
    const alike = other.taskOptions === taskOptions && other.threads === threads &&
      other.limits.cpuUtilLimit === limits.cpuUtilLimit
    if (alike && mean !== undefined && (fastest === undefined || mean < fastest)) fastest = mean
  }
  return fastest
}

function stopping(task: TaskName): EdgeInferError {
  return new EdgeInferError('CLOSED', `The workers of ${task} are being stopped`)
}
