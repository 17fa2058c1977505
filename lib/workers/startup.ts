/** One configured task until it has its workers: its model is fetched where it is not here, then they are started. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { FetchOptions, FetchProgress } from '../models/index.js'
import { toEdgeInferError } from '../native.js'
import type { TaskOptions } from '../tasks/index.js'
import type { TaskName } from '../tasks/registry.js'

export interface StartupOptions {
  task: TaskName
  log: Logger
  /** Stops it. */
  signal: AbortSignal
  /** Whether a model that could not be fetched is tried again, later and later. */
  tryAgain: boolean
  /** Why tasks have no worker. */
  unavailable: Map<TaskName, string>
  resolve(fetch: FetchOptions): Promise<TaskOptions>
  /** `onKilled`: a worker was killed while it started; another is on its way. */
  startWorkers(options: TaskOptions, onKilled: () => void): Promise<void>
  /** Whether somebody has added a worker meanwhile. */
  hasWorker(): boolean
}

const LOG_INTERVAL_MS = 10_000
const MIN_RETRY_MS = 5000
const MAX_RETRY_MS = 300_000

export class TaskStartup {
  /** Of its model, while that is being fetched. */
  progress: FetchProgress | undefined
  /** Resolves when it has workers, or will have none, or either takes long. */
  readonly settled: Promise<void>
  /** Resolves when it has workers, or its first try failed. */
  readonly tried: Promise<void>
  /** Resolves when nothing more will happen. */
  readonly ended: Promise<void>
  readonly #options: StartupOptions
  #settle!: () => void
  #endTry!: () => void
  #loggedAt = -Infinity

  constructor(options: StartupOptions) {
    this.#options = options
    this.settled = new Promise((resolve) => { this.#settle = resolve })
    this.tried = new Promise((resolve) => { this.#endTry = resolve })
    this.ended = this.#run()
  }

  async #run(): Promise<void> {
    const { task, log, signal, tryAgain, hasWorker } = this.#options
    for (let delay = MIN_RETRY_MS; !(await this.#try()); delay = Math.min(2 * delay, MAX_RETRY_MS)) {
      if (!tryAgain || signal.aborted) return
      log.info({ task }, `trying again in ${delay / 1000} s`)
      await sleep(delay, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted || hasWorker()) return
    }
  }

  /** Whether that is the end of it, good or bad. */
  async #try(): Promise<boolean> {
    const { task, log, signal, unavailable, resolve, startWorkers } = this.#options
    try {
      const options = await resolve({ signal, onProgress: (progress) => this.#onProgress(progress) })
      this.progress = undefined
      await startWorkers(options, this.#settle)
      unavailable.delete(task)
      log.info({ task, model: options.model }, 'served')
      return true
    } catch (error) {
      const { code, message, details } = toEdgeInferError(error)
      unavailable.set(task, message)
      if (!signal.aborted) log.warn({ task, code, why: message }, 'not served')
      return !(code === 'MODEL_UNAVAILABLE' && Array.isArray(details?.tried) && details.tried.length > 0)
    } finally {
      this.progress = undefined
      this.#settle()
      this.#endTry()
    }
  }

  #onProgress(progress: FetchProgress): void {
    this.progress = progress
    const now = performance.now()
    if (now - this.#loggedAt >= LOG_INTERVAL_MS) {
      this.#loggedAt = now
      this.#options.log.info({ task: this.#options.task, ...progress }, 'fetching the model')
    }
    this.#settle()
  }
}
