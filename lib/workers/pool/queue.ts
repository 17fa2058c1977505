/** The bounded queue of a pool, and its jobs from the call to the answer. */
import { EdgeInferError } from '../../errors.js'
import type { Job } from '../../inference/job.js'
import type { TaskName } from '../../tasks/registry.js'
import type { JobRun, RunOptions } from '../types.js'
import type { Clock } from './clock.js'

let sequence = 0

export class QueuedJob {
  readonly job: Job
  /** Jobs are run in the order they came. */
  readonly sequence = sequence++
  readonly outcome: Promise<JobRun>
  /** Workers that died while they ran it. */
  crashes = 0
  /** Cancels it at the worker it is assigned to. */
  cancelAtWorker: (() => void) | undefined
  #resolve!: (run: JobRun) => void
  #reject!: (error: unknown) => void
  #settled = false
  #release: () => void = () => {}

  constructor(job: Job) {
    this.job = job
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Calls back when the caller no longer waits, with the error that says so, unless the job is settled before. */
  watchCaller({ signal, timeoutMs }: RunOptions, clock: Clock, onCancel: (error: EdgeInferError) => void): void {
    const onAbort = (): void => onCancel(new EdgeInferError('ABORTED', 'The caller cancelled the request'))
    if (signal?.aborted) return onAbort()
    const stopTimer = timeoutMs === undefined ? undefined : clock.after(timeoutMs, () =>
      onCancel(new EdgeInferError('TIMEOUT', `The request was not answered within its ${timeoutMs} ms`)))
    signal?.addEventListener('abort', onAbort)
    this.#release = () => {
      stopTimer?.()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Whether the caller has its answer, or no longer waits for one. */
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
    this.#release()
    return true
  }
}

export class JobQueue {
  readonly #task: TaskName
  readonly #sizePerWorker: number
  readonly #clock: Clock
  readonly #waiting: QueuedJob[] = []
  #assigned = 0
  #onEmpty: (() => void)[] = []

  /** `sizePerWorker`: jobs a worker may have waiting or running. */
  constructor(task: TaskName, sizePerWorker: number, clock: Clock) {
    this.#task = task
    this.#sizePerWorker = sizePerWorker
    this.#clock = clock
  }

  /** Jobs that wait for a worker. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Jobs that wait or are assigned. A cancelled job counts until its worker has ended it. */
  get pending(): number {
    return this.#waiting.length + this.#assigned
  }

  /**
   * Adds a job; where its caller no longer waits it is settled at once. `workers` share the queue; `jobTime`:
   * milliseconds a job takes. @throws EdgeInferError QUEUE_FULL
   */
  add(job: Job, options: RunOptions, workers: number, jobTime: number): QueuedJob {
    const capacity = workers * this.#sizePerWorker
    if (this.pending >= capacity) {
      const retryAfterSeconds = Math.max(1, Math.ceil(jobTime * this.#sizePerWorker / 1000))
      throw new EdgeInferError('QUEUE_FULL', `All ${workers} workers of ${this.#task} have full queues ` +
        `(${this.pending} requests of at most ${capacity})`, { details: { retryAfterSeconds } })
    }
    const queued = new QueuedJob(job)
    queued.watchCaller(options, this.#clock, (error) => this.#cancel(queued, error))
    if (!queued.settled) this.#waiting.push(queued)
    return queued
  }

  /** Takes the waiting job at that index: it is assigned to a worker now. */
  assign(index: number): QueuedJob {
    const [job] = this.#waiting.splice(index, 1)
    if (!job) throw new RangeError(`Expected an index below ${this.#waiting.length} but received ${index}`)
    this.#assigned += 1
    return job
  }

  /** The worker of an assigned job has ended it. */
  release(job: QueuedJob): void {
    job.cancelAtWorker = undefined
    this.#assigned -= 1
    this.#checkEmpty()
  }

  /** The worker of an assigned job died: the job takes its place in the queue again, unless it is settled. */
  requeue(job: QueuedJob): void {
    if (!job.settled) {
      const later = this.#waiting.findIndex((other) => other.sequence > job.sequence)
      this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, job)
    }
    this.release(job)
  }

  /** Fails all jobs that wait. */
  rejectWaiting(error: EdgeInferError): void {
    for (const job of this.#waiting.splice(0)) job.fail(error)
    this.#checkEmpty()
  }

  /** Resolves as soon as no job is pending. */
  async empty(): Promise<void> {
    if (this.pending > 0) await new Promise<void>((resolve) => { this.#onEmpty.push(resolve) })
  }

  #cancel(job: QueuedJob, error: EdgeInferError): void {
    job.fail(error)
    const index = this.#waiting.indexOf(job)
    if (index >= 0) this.#waiting.splice(index, 1)
    else job.cancelAtWorker?.()
    this.#checkEmpty()
  }

  #checkEmpty(): void {
    if (this.pending > 0) return
    for (const resolve of this.#onEmpty.splice(0)) resolve()
  }
}
