/**
 * The workers of a pool from their start to their death. One that dies while it is ready is replaced by one like it,
 * sooner or later, for as long as workers are needed.
 */
import type { Logger } from 'pino'
import { EdgeInferError } from '../../errors.js'
import type { TaskName } from '../../tasks/registry.js'
import type { TaskOptions } from '../../tasks/index.js'
import { toEdgeInferError } from '../../native.js'
import { MEMORY_MARGIN_BYTES, type ResourceLimits } from '../limits/index.js'
import { notStarted } from '../process/worker-process.js'
import type { Clock } from './clock.js'
import { OUT_OF_MEMORY, PoolWorker, type Death, type GroupHandle, type ProcessHandle } from './pool-worker.js'
import { RestartBackoff } from './restart-backoff.js'

export interface SupervisorOptions {
  task: TaskName
  /** Milliseconds without any CPU time used, while it has work, after which a worker is stuck and is killed. */
  stuckAfterMs: number
  log: Logger
  clock: Clock
  createGroup(name: string): GroupHandle
  /** @throws EdgeInferError WORKER_DIED when no process can be made, or put into its group. */
  startProcess(options: TaskOptions, group: GroupHandle): ProcessHandle
  /** Threads of one of so many `workers`. */
  threadsFor(options: TaskOptions, cpuUtilLimit: number, workers: number): number
  /** Whether a worker would have something to do. */
  isNeeded(): boolean
  /** @throws EdgeInferError LIMIT_TOO_LOW unless there are so many bytes for one more worker. */
  requireMemory(bytes: number): void
  /** A worker that died could not be replaced; `failures` counts the attempts. */
  onReplacementFailed(error: Error, failures: number): void
  onReady(worker: PoolWorker): void
}

/** What is to take the place of a worker that died. */
interface Replacement {
  /** Of the worker that died; undefined where it is one that never had a process. */
  pid: number | undefined
  taskOptions: TaskOptions
  limits: ResourceLimits
  /** Milliseconds to wait before. */
  delay: number
  cancelled?: boolean
  /** Ends its wait. */
  wake?: () => void
  /** Resolves when it is over, whatever came of it. */
  over?: Promise<void>
}

export class Supervisor {
  /** How many workers were replaced, by what they died of. */
  readonly restarts = new Map<string, number>()
  /** What became of the last worker, where no other has come up since. */
  trouble: string | undefined
  readonly #options: SupervisorOptions
  readonly #workers: PoolWorker[] = []
  readonly #backoff = new RestartBackoff()
  readonly #replacements = new Set<Replacement>()
  /** The most memory of workers that had too little to start, by their options. */
  readonly #failedStarts = new Map<string, number>()
  /** Starts, replacements, deaths and removals of groups under way. */
  readonly #underWay = new Set<Promise<unknown>>()
  /** Each ends a wait for the next start. */
  readonly #pauses = new Set<() => void>()
  #starting = 0
  #closed = false
  #nextName = 1

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /** Those that have a process, the oldest first. */
  get workers(): readonly PoolWorker[] {
    return this.#workers
  }

  get ready(): PoolWorker[] {
    return this.#workers.filter(({ state }) => state === 'ready')
  }

  find(pid: number): PoolWorker | undefined {
    return this.#workers.find(({ process }) => process.pid === pid)
  }

  /** Workers that compute, or soon will. */
  get active(): number {
    return this.ready.length + this.#starting
  }

  /** Workers that died and are being replaced. */
  get replacing(): number {
    return this.#replacements.size
  }

  /** The newest worker's, or those of the next; undefined where there is none. */
  get taskOptions(): TaskOptions | undefined {
    return this.ready.at(-1)?.taskOptions ?? [...this.#replacements].at(-1)?.taskOptions
  }

  get restartCount(): number {
    return [...this.restarts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Starts one more worker; resolves when it is ready. @throws EdgeInferError MODEL_*, WORKER_DIED, CLOSED. */
  async add(taskOptions: TaskOptions): Promise<PoolWorker> {
    return this.#track(this.#start(taskOptions, {}))
  }

  /**
   * Starts the configured number of workers. One that is killed while it starts is started again; `onKilled` is told.
   * Where one of them comes up, the others are tried again until they do, too. @throws EdgeInferError why none came up.
   */
  async addAll(count: number, taskOptions: TaskOptions, onKilled: () => void = () => {}): Promise<void> {
    const starts = await Promise.allSettled(Array.from({ length: count }, () =>
      this.#track(this.#start(taskOptions, {}, onKilled))))
    const failures = starts.flatMap((start) => start.status === 'rejected' ? [start.reason as unknown] : [])
    if (failures.length > 0 && failures.length === count) throw failures[0]
    for (const error of failures) {
      this.#options.log.error({ task: this.#options.task, err: error }, 'worker could not be started; trying again')
      this.#replaceSoon({ pid: undefined, taskOptions, limits: {}, delay: this.#backoff.nextDelay(false) })
    }
  }

  /** Gives up the newest replacement; resolves, to the pid of the worker that died, when it is over. */
  async cancelReplacement(): Promise<number | undefined> {
    const replacement = [...this.#replacements].at(-1) as Replacement
    replacement.cancelled = true
    replacement.wake?.()
    await replacement.over
    return replacement.pid
  }

  /** A limit of the task ends those its workers had of their own: a replacement does not bring them back. */
  taskLimited(limits: ResourceLimits): void {
    for (const replacement of this.#replacements) {
      const kept = Object.entries(replacement.limits).filter(([key]) => !(key in limits))
      replacement.limits = Object.fromEntries(kept)
    }
  }

  killAll(): void {
    for (const { process } of this.#workers) process.kill()
  }

  /** Starts no more workers. Those there are end after the jobs they have; resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true
    for (const end of this.#pauses) end()
    for (const worker of this.#workers) {
      if (worker.state === 'starting') worker.process.kill()
      else worker.drain()
    }
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
  }

  get #needed(): boolean {
    return !this.#closed && this.#options.isNeeded()
  }

  #track<T>(step: Promise<T>): Promise<T> {
    this.#underWay.add(step)
    const done = (): void => { this.#underWay.delete(step) }
    step.then(done, done)
    return step
  }

  /** `onKilled`: one that is killed while it starts is started again. */
  async #start(taskOptions: TaskOptions, limits: ResourceLimits, onKilled?: () => void): Promise<PoolWorker> {
    this.#starting += 1
    const worker = await this.#load(taskOptions, limits, onKilled).finally(() => { this.#starting -= 1 })
    worker.becomeReady()
    this.trouble = undefined
    const { log, onReady } = this.#options
    for (const warning of worker.process.warnings) log.warn({ pid: worker.process.pid }, warning)
    onReady(worker)
    return worker
  }

  /** A worker that has loaded its model. */
  async #load(
    taskOptions: TaskOptions, limits: ResourceLimits, onKilled: (() => void) | undefined,
  ): Promise<PoolWorker> {
    for (;;) {
      const worker = await this.#spawn(taskOptions, limits)
      const gone = this.#track(worker.death.then((death) => this.#onDeath(worker, death)))
      try {
        await worker.process.ready
        return worker
      } catch (error) {
        await gone
        const death = await worker.death
        const wasKilled = error instanceof EdgeInferError && error.code === 'WORKER_DIED' &&
          death.end.signal === 'SIGKILL' && death.cause !== OUT_OF_MEMORY
        if (!onKilled || !wasKilled || !this.#needed) throw this.#startFailure(worker, error, death)
        const delay = this.#backoff.nextDelay(false)
        this.#logDeath(worker, death, ` while it started; starting another${delayText(delay)}`)
        onKilled()
        await this.#pause(delay).ended
      }
    }
  }

  async #spawn(taskOptions: TaskOptions, limits: ResourceLimits): Promise<PoolWorker> {
    const { createGroup, startProcess, threadsFor, stuckAfterMs, clock } = this.#options
    let group: GroupHandle | undefined
    try {
      this.#requireMemory(taskOptions)
      group = createGroup(`worker-${this.#nextName++}`)
      await group.inherit(limits)
      if (!this.#needed) throw stopping(this.#options.task)
      const threads = threadsFor(taskOptions, group.readUtil().cpuUtilLimit, this.active)
      const worker = new PoolWorker({
        process: startProcess({ ...taskOptions, threads }, group), group, taskOptions, threads, stuckAfterMs, clock,
        onStuck: ({ process: { pid } }, why) =>
          this.#options.log.error({ pid, task: this.#options.task }, `worker ${why}: killing it`),
      })
      this.#workers.push(worker)
      return worker
    } catch (error) {
      if (group) await this.#remove(group)
      // The system's own: reading a file of a group takes a descriptor, too.
      throw error instanceof EdgeInferError ? error : notStarted((error as Error).message, error)
    }
  }

  /** What one more worker needs is what one like it uses, or used when it had too little to start. */
  #requireMemory(taskOptions: TaskOptions): void {
    const key = JSON.stringify(taskOptions)
    const alike = this.ready.filter((worker) => JSON.stringify(worker.taskOptions) === key)
    const used = [...alike.map(({ group }) => group.memory()?.used ?? 0), this.#failedStarts.get(key) ?? 0]
    const bytes = Math.max(...used)
    if (bytes > 0) this.#options.requireMemory(bytes + MEMORY_MARGIN_BYTES)
  }

  /** Why a worker did not come up. */
  #startFailure(worker: PoolWorker, error: unknown, death: Death): unknown {
    if (death.cause !== OUT_OF_MEMORY) return error
    const { taskOptions } = worker
    this.#failedStarts.set(JSON.stringify(taskOptions), death.memoryPeakBytes ?? 0)
    try {
      this.#requireMemory(taskOptions)
    } catch (tooLow) {
      return tooLow
    }
    return new EdgeInferError('WORKER_DIED', `${died(worker, death)} while it loaded its model`)
  }

  async #onDeath(worker: PoolWorker, death: Death): Promise<void> {
    const { group, process: { pid }, taskOptions } = worker
    this.#workers.splice(this.#workers.indexOf(worker), 1)
    if (death.wasReady && this.#needed) {
      this.restarts.set(death.cause, (this.restarts.get(death.cause) ?? 0) + 1)
      const delay = this.#backoff.nextDelay(death.wasHealthy)
      this.#logDeath(worker, death, `; replacing it${delayText(delay)}`)
      this.#replaceSoon({ pid, taskOptions, limits: ownLimits(group), delay })
    }
    await this.#remove(group, pid)
  }

  async #remove(group: GroupHandle, pid?: number): Promise<void> {
    const { task, log } = this.#options
    await group.remove().catch((error: unknown) => log.error({ task, pid, err: error }, 'group not removed'))
  }

  #logDeath({ process: { pid } }: PoolWorker, { description, end, oomKills }: Death, whatNow: string): void {
    const { task, log } = this.#options
    this.trouble = `its worker ${description}${whatNow}`
    log.error({ task, pid, ...end, oomKills }, `worker ${description}${whatNow}`)
  }

  #replaceSoon(replacement: Replacement): void {
    this.#replacements.add(replacement)
    replacement.over = this.#track(this.#replace(replacement).finally(() => this.#replacements.delete(replacement)))
  }

  /** Tries until there is a worker, or none is needed any more. */
  async #replace(replacement: Replacement): Promise<void> {
    const { log, task, onReplacementFailed } = this.#options
    const isWanted = (): boolean => this.#needed && !replacement.cancelled
    for (let failures = 1; isWanted(); failures++) {
      const { ended, end } = this.#pause(replacement.delay)
      replacement.wake = end
      await ended
      if (!isWanted()) return
      try {
        const worker = await this.#start(replacement.taskOptions, replacement.limits)
        log.info({ task, pid: worker.process.pid }, 'worker replaced')
        if (!replacement.cancelled) return
        worker.drain()
        await worker.death
      } catch (error) {
        if (!isWanted()) return
        replacement.delay = this.#backoff.nextDelay(false)
        this.trouble = `its worker could not be replaced: ${toEdgeInferError(error).message}`
        log.error({ task, err: error }, `worker could not be replaced; trying again in ${replacement.delay} ms`)
        onReplacementFailed(toEdgeInferError(error), failures)
      }
    }
  }

  #pause(milliseconds: number): { ended: Promise<void>; end(): void } {
    if (milliseconds <= 0 || this.#closed) return { ended: Promise.resolve(), end: () => {} }
    let resolve!: () => void
    const ended = new Promise<void>((onEnd) => { resolve = onEnd })
    const end = (): void => {
      cancel()
      this.#pauses.delete(end)
      resolve()
    }
    const cancel = this.#options.clock.after(milliseconds, end)
    this.#pauses.add(end)
    return { ended, end }
  }
}

/** What a worker was held to below its task's limits; nothing where somebody else removed its group. */
function ownLimits(group: GroupHandle): ResourceLimits {
  try {
    return group.own()
  } catch {
    return {}
  }
}

function delayText(milliseconds: number): string {
  return milliseconds > 0 ? ` in ${milliseconds} ms` : ''
}

/** A sentence about a worker that is gone. */
export function died({ process: { pid } }: PoolWorker, { description }: Death): string {
  return `The worker process ${pid} ${description}`
}

export function stopping(task: TaskName): EdgeInferError {
  return new EdgeInferError('CLOSED', `The workers of ${task} are being stopped`)
}
