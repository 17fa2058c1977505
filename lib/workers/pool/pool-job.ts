/** A job in a pool, from the call to its answer. */
import { EdgeInferError } from '../../errors.js'
import type { Job } from '../../inference/job.js'
import type { JobRun, RunOptions } from '../types.js'

/** The longest that a timer can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

let sequence = 0

export class PoolJob {
  readonly job: Job
  /** Jobs are run in the order they came. */
  readonly sequence = sequence++
  readonly outcome: Promise<JobRun>
  /** Stops it at the worker that holds it. */
  cancel: (() => void) | undefined
  /** Workers that died while they ran it. */
  deaths = 0
  #resolve!: (run: JobRun) => void
  #reject!: (error: unknown) => void
  #settled = false
  #timer: NodeJS.Timeout | undefined
  #release: () => void = () => {}

  /** `abandoned` is called when the caller gives up: the job may still be held by a worker then. */
  constructor(job: Job, { signal, timeoutMs }: RunOptions, abandoned: (job: PoolJob) => void) {
    this.job = job
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    const giveUp = (error: EdgeInferError): void => {
      if (this.#settled) return
      this.fail(error)
      this.cancel?.()
      abandoned(this)
    }
    const onAbort = (): void => giveUp(new EdgeInferError('ABORTED', 'The caller gave up'))
    if (signal?.aborted) onAbort()
    if (this.#settled) return
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(() => giveUp(new EdgeInferError(
        'TIMEOUT', `The request was not answered within its ${timeoutMs} ms`)), Math.min(timeoutMs, LONGEST_TIMER_MS))
    }
    if (signal) {
      signal.addEventListener('abort', onAbort)
      this.#release = () => signal.removeEventListener('abort', onAbort)
    }
  }

  /** Whether the caller has its answer, or has given up. */
  get settled(): boolean {
    return this.#settled
  }

  finish(run: JobRun): void {
    if (this.#settle()) this.#resolve(run)
  }

  fail(error: unknown): void {
    if (this.#settle()) this.#reject(error)
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    clearTimeout(this.#timer)
    this.#release()
    return true
  }
}
