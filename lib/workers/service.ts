/** All the workers of this node: a pool a task, their control groups, and the limits on them. */
import type { Logger } from 'pino'
import { EdgeInferError } from '../errors.js'
import { TASK_NAMES, type TaskName } from '../tasks/registry.js'
import { isTaskName, type TaskOptions } from '../tasks/index.js'
import type { Job } from '../inference/job.js'
import type { FetchOptions } from '../models/index.js'
import { parseModelContext } from '../tasks/model-context.js'
import { resolveTaskModel } from '../tasks/models.js'
import { CapacityWatch } from './capacity-watch.js'
import { TaskStartup } from './startup.js'
import { NO_LIMITS, type GroupStats, type LimitsBackend, type TaskGroup } from './limits/index.js'
import { WorkerPool } from './pool/pool.js'
import type {
  JobRun, EffectiveLimits, MissingTask, ModelContext, RestartCount, RunOptions, WorkerInfo, WorkerService, WorkerUsage,
} from './types.js'

export interface WorkersOptions {
  /** How many workers each task starts with. */
  tasks: Partial<Record<TaskName, { workers: number; modelContext?: ModelContext | undefined }>>
  /** Where models run unless their `model_ctx` says otherwise. */
  device?: string | undefined
  /** Use the CPU where the device's provider is missing. */
  fallback?: boolean | undefined
  /** The most threads of one worker; by default the cores are divided among the workers. */
  threads?: number | undefined
  /** Requests one worker may have waiting or running. */
  queueSize?: number | undefined
  /**
   * Milliseconds after which a worker that has a request and uses no CPU time is killed; 30,000 unless said otherwise.
   * A worker still running a cancelled request after 10 times as long is killed, too.
   */
  stuckAfterMs?: number | undefined
  /** Fetch models that are not on this machine. */
  download?: boolean | undefined
  /** Start in the background what takes long: models that must be fetched, workers that are killed while they start. */
  background?: boolean | undefined
  /** Cancels the start: the promise rejects with the code ABORTED when the workers are gone again. */
  signal?: AbortSignal | undefined
  log: Logger
}

const DEFAULT_QUEUE_SIZE = 64
const RETRY_AFTER_SECONDS = { starting: 1, fetching: 5 }
const DEFAULT_STUCK_AFTER_MS = 30_000

export class Workers implements WorkerService {
  readonly unavailable = new Map<TaskName, string>()
  /** Resolves when each configured task has workers, or its first try has failed. */
  tried: Promise<void> = Promise.resolve()
  readonly #options: WorkersOptions
  readonly #limits: LimitsBackend
  readonly #groups = new Map<TaskName, TaskGroup>()
  readonly #pools = new Map<TaskName, WorkerPool>()
  readonly #defaultThreads: number
  readonly #startups = new Map<TaskName, TaskStartup>()
  readonly #stop = new AbortController()
  readonly #capacity: CapacityWatch
  #closing = false

  constructor(options: WorkersOptions, limits: LimitsBackend) {
    this.#options = options
    this.#limits = limits
    const { log } = options
    this.#capacity = new CapacityWatch({ atStart: limits.capacity, read: () => limits.readCapacity(), log })
    const wanted = Object.values(options.tasks).reduce((sum, { workers }) => sum + workers, 0)
    this.#defaultThreads = options.threads ?? Math.max(1, Math.floor(this.#cores / Math.max(1, wanted)))
  }

  /**
   * Starts the workers of every task; a task that cannot run is noted in `unavailable`. In the background, resolves
   * when all those are ready that can be at once.
   */
  async start(): Promise<void> {
    const { log, background = false } = this.#options
    for (const task of this.#configured) {
      const { workers = 1, modelContext } = this.#options.tasks[task] ?? {}
      this.#startups.set(task, new TaskStartup({
        task, log, signal: this.#stop.signal, tryAgain: background, unavailable: this.unavailable,
        resolve: (fetch) => this.#resolve(task, modelContext, fetch),
        startWorkers: async (options, onKilled) => {
          this.#requireOpen()
          await this.#pool(task).supervisor.addAll(workers, options, onKilled)
        },
        hasWorker: () => this.count(task) > 0,
      }))
    }
    const startups = [...this.#startups.values()]
    this.tried = Promise.all(startups.map(({ tried }) => tried)).then(() => {})
    await (background ? Promise.all(startups.map(({ settled }) => settled)) : this.tried)
  }

  get #configured(): TaskName[] {
    return TASK_NAMES.filter((task) => this.#options.tasks[task])
  }

  get lessCpu(): string | undefined {
    return this.#capacity.lessCpu
  }

  get tasks(): TaskName[] {
    return TASK_NAMES.filter((task) => this.count(task) > 0)
  }

  get ready(): boolean {
    return !this.#closing && this.missing.size === 0
  }

  get missing(): ReadonlyMap<TaskName, MissingTask> {
    return new Map(this.#configured.filter((task) => this.count(task) === 0).map((task) => [task, this.#why(task)]))
  }

  #why(task: TaskName): MissingTask {
    const progress = this.#startups.get(task)?.progress
    if (progress) {
      const { bytes, total } = progress
      const [done, all] = [bytes, total].map((count) => count === undefined ? '?' : (count / 1e6).toFixed(1))
      return { state: 'fetching', why: `its model is being fetched (${done} of ${all} MB)`, bytes, total }
    }
    const failed = this.unavailable.get(task)
    if (failed !== undefined) return { state: 'failed', why: failed }
    return { state: 'starting', why: this.#pools.get(task)?.supervisor.trouble ?? 'its worker is starting' }
  }

  refusal(task: TaskName): EdgeInferError | undefined {
    const supervisor = this.#pools.get(task)?.supervisor
    if (supervisor && supervisor.ready.length + supervisor.replacing > 0) return undefined
    const missing = this.missing.get(task)
    if (!missing) return new EdgeInferError('NO_WORKER', `${task} has no worker on this node`)
    const { state, why } = missing
    if (state === 'failed') return new EdgeInferError('NO_WORKER', `${task} has no worker on this node: ${why}`)
    const details = { retryAfterSeconds: RETRY_AFTER_SECONDS[state] }
    return new EdgeInferError('STARTING', `${task} is not served yet: ${why}`, { details })
  }

  get limits(): LimitsBackend {
    return this.#limits
  }

  workers(task?: TaskName): WorkerInfo[] {
    const pools = task ? [this.#pools.get(task)] : [...this.#pools.values()]
    return pools.flatMap((pool) => pool?.infos() ?? [])
  }

  count(task: TaskName): number {
    return this.#pools.get(task)?.supervisor.ready.length ?? 0
  }

  usage(): WorkerUsage[] {
    return [...this.#pools.values()].flatMap((pool) => pool.usage())
  }

  restarts(): RestartCount[] {
    return [...this.#pools.values()].flatMap((pool) =>
      [...pool.supervisor.restarts].map(([reason, count]) => ({ task: pool.task, reason, count })))
  }

  async run(task: TaskName, job: Job, options: RunOptions = {}): Promise<JobRun> {
    return this.#existing(task).run(job, options)
  }

  async add(task: TaskName, modelContext?: ModelContext): Promise<WorkerInfo> {
    requireTask(task)
    this.#requireOpen()
    const current = modelContext === undefined ? this.#pools.get(task)?.supervisor.taskOptions : undefined
    const options = current ?? await this.#resolve(task, modelContext)
    this.#requireOpen()
    const pool = this.#pool(task)
    const worker = await pool.add(options).catch(blameModelContext)
    this.unavailable.delete(task)
    return pool.info(worker)
  }

  async decrease(task: TaskName): Promise<{ pid: number | undefined }> {
    return { pid: await this.#existing(task).decrease() }
  }

  async limitProcess(
    pid: unknown, task: unknown, body: Readonly<Record<string, unknown>>,
  ): Promise<EffectiveLimits> {
    this.#requireOpen()
    if (typeof pid !== 'number' || !Number.isInteger(pid)) {
      throw new EdgeInferError('BAD_REQUEST', `Expected pid to be a whole number but received ${JSON.stringify(pid)}`)
    }
    if (task !== undefined && task !== null) requireTask(task)
    const pool = [...this.#pools.values()].find((candidate) => candidate.supervisor.find(pid))
    const worker = pool?.supervisor.find(pid)
    if (!pool || !worker) {
      const known = this.workers().map((info) => `${info.pid} (${info.task})`).join(', ') || 'none'
      throw new EdgeInferError(
        'UNKNOWN_PID', `Expected the pid of a worker of this node (${known}) but received ${pid}`)
    }
    if (task && pool.task !== task) {
      throw new EdgeInferError('UNKNOWN_PID', `Worker ${pid} runs ${pool.task}, not ${String(task)}`)
    }
    const { changed, tooLow } = await worker.group.apply(this.#limits.parse(body))
    if (changed) pool.limitsChanged()
    if (tooLow) throw tooLow
    return worker.group.readUtil()
  }

  async limitTask(task: TaskName, body: Readonly<Record<string, unknown>>): Promise<EffectiveLimits> {
    requireTask(task)
    this.#requireOpen()
    const limits = this.#limits.parse(body)
    const group = this.#group(task)
    const { applied, changed, tooLow } = await group.apply(limits)
    const pool = this.#pools.get(task)
    if (changed || pool?.supervisor.replacing) pool?.limitsChanged(applied)
    if (tooLow) throw tooLow
    return group.readUtil()
  }

  taskLimits(task: TaskName): EffectiveLimits {
    const group = this.#groups.get(task)
    return group?.readUtil() ?? NO_LIMITS
  }

  /** Counters of the kernel for a task's workers together, or for one of them. @throws UNKNOWN_PID. */
  stats(task: TaskName, pid?: number): GroupStats {
    if (pid === undefined) return this.#group(task).stats()
    const worker = this.#pools.get(task)?.supervisor.find(pid)
    if (!worker) throw new EdgeInferError('UNKNOWN_PID', `Expected the pid of a worker of ${task} but received ${pid}`)
    return worker.group.stats()
  }

  async close({ now = false }: { now?: boolean } = {}): Promise<void> {
    this.#closing = true
    this.#stop.abort()
    this.#capacity.close()
    await Promise.all([...this.#pools.values()].map((pool) => pool.close(now)))
    await Promise.all([...this.#startups.values()].map(({ ended }) => ended))
    await this.#limits.close()
  }

  #requireOpen(): void {
    if (this.#closing) throw new EdgeInferError('CLOSED', 'The workers are being stopped')
  }

  get #cores(): number {
    return this.#limits.capacity.cores
  }

  /** The options of a task's workers; its model is on this machine afterwards. */
  async #resolve(
    task: TaskName, modelContext: ModelContext | undefined, fetch: FetchOptions = { signal: this.#stop.signal },
  ): Promise<TaskOptions> {
    const asked = parseModelContext(modelContext)
    const options = { device: this.#options.device, fallback: this.#options.fallback, ...asked }
    const download = this.#options.download
    const { entry } = await resolveTaskModel(task, asked.model, { ...fetch, download }, 'BAD_MODEL_CTX')
    return { ...options, model: asked.model ?? entry.name }
  }

  #group(task: TaskName): TaskGroup {
    let group = this.#groups.get(task)
    if (!group) this.#groups.set(task, group = this.#limits.createTaskGroup(task))
    return group
  }

  #pool(task: TaskName): WorkerPool {
    let pool = this.#pools.get(task)
    if (!pool) {
      pool = new WorkerPool({
        task,
        group: this.#group(task),
        queueSize: this.#options.queueSize ?? DEFAULT_QUEUE_SIZE,
        stuckAfterMs: this.#options.stuckAfterMs ?? DEFAULT_STUCK_AFTER_MS,
        cores: () => this.#cores,
        defaultThreads: this.#defaultThreads,
        log: this.#options.log,
      })
      this.#pools.set(task, pool)
    }
    return pool
  }

  #existing(task: TaskName): WorkerPool {
    requireTask(task)
    this.#requireOpen()
    const refusal = this.refusal(task)
    if (refusal) throw refusal
    return this.#pools.get(task) as WorkerPool
  }
}

/** An option that a worker cannot start with was a field of its model_ctx. */
function blameModelContext(error: unknown): never {
  if (!(error instanceof EdgeInferError) || error.code !== 'BAD_OPTION') throw error
  throw new EdgeInferError('BAD_MODEL_CTX', error.message, { cause: error })
}

function requireTask(task: unknown): asserts task is TaskName {
  if (isTaskName(task)) return
  throw new EdgeInferError(
    'UNKNOWN_TASK', `Expected a task of ${TASK_NAMES.join(', ')} but received ${JSON.stringify(task) ?? 'none'}`,
  )
}
