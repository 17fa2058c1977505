/** Time, processes and groups that a test moves by hand. */
import { EdgeInferError } from '../../../lib/errors.js'
import type { Job, JobResult } from '../../../lib/inference/job.js'
import type { Clock } from '../../../lib/workers/pool/clock.js'
import type { GroupHandle, ProcessHandle } from '../../../lib/workers/pool/pool-worker.js'
import { describeEnd, type WorkerEnd } from '../../../lib/workers/process/worker-process.js'

export const job: Job = { images: [] }

/** Lets everything run that waits for promises alone. */
export const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })

export class VirtualClock implements Clock {
  readonly #timers = new Set<{ at: number; callback: () => void }>()
  #now = 0

  now(): number {
    return this.#now
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.#now + milliseconds, callback }
    this.#timers.add(timer)
    return () => { this.#timers.delete(timer) }
  }

  get timers(): number {
    return this.#timers.size
  }

  /** Timers fire in their order; what they cause is done before the next. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      await settled()
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at)
      if (!next || next.at > end) break
      this.#timers.delete(next)
      this.#now = next.at
      next.callback()
    }
    this.#now = end
  }
}

let nextPid = 1_000_000_000

/** Answers the pool as a process does; the test says when. */
export class VirtualProcess implements ProcessHandle {
  /** No process has so high a number, so that none is read. */
  readonly pid = nextPid++
  readonly startedAt = new Date(0)
  readonly model = 'virtual'
  readonly provider = 'virtual'
  readonly warnings: string[] = []
  readonly ready: Promise<void>
  readonly ended: Promise<WorkerEnd>
  /** What the pool asked of it. */
  readonly calls: string[] = []
  readonly #jobs: { resolve(result: JobResult): void; reject(error: unknown): void }[] = []
  load!: () => void
  failLoading!: (error: EdgeInferError) => void
  #end!: (end: WorkerEnd) => void

  constructor() {
    this.ready = new Promise((resolve, reject) => { [this.load, this.failLoading] = [resolve, reject] })
    this.ready.catch(() => {})
    this.ended = new Promise((resolve) => { this.#end = resolve })
  }

  run(): { result: Promise<JobResult>; cancel(): void } {
    const result = new Promise<JobResult>((resolve, reject) => this.#jobs.push({ resolve, reject }))
    return { result, cancel: () => this.calls.push('cancel') }
  }

  setThreads(threads: number): void {
    this.calls.push(`threads ${threads}`)
  }

  stop(): void {
    this.calls.push('stop')
  }

  kill(): void {
    this.calls.push('kill')
    this.end('SIGKILL')
  }

  /** Answers its oldest job. */
  answer(wallMs = 10): void {
    const usage = { wallSeconds: wallMs / 1000, cpuSeconds: wallMs / 1000 }
    this.#jobs.shift()?.resolve({ items: [], labels: [], usage } as unknown as JobResult)
  }

  /** Is gone, by a signal or with an exit code. */
  end(how: NodeJS.Signals | number): void {
    const signal = typeof how === 'string' ? how : null
    const end = { code: signal ? null : how as number, signal, stderr: '' }
    const error = new EdgeInferError('WORKER_DIED', `The worker process ${this.pid} ${describeEnd(end)}`)
    this.#end(end)
    this.failLoading(error)
    for (const { reject } of this.#jobs.splice(0)) reject(error)
  }
}

export class VirtualGroup implements GroupHandle {
  limits = { cpuUtilLimit: 1, memUtilLimit: 1 }
  oomKills: number | undefined = 0
  memoryPeakBytes = 0
  used = 0
  inherited: object = {}
  removed = false

  async apply(): ReturnType<GroupHandle['apply']> {
    return { applied: {}, changed: false, tooLow: undefined }
  }

  async inherit(limits: object): Promise<void> {
    this.inherited = limits
  }

  own(): object {
    return { cpuUtilLimit: 0.5 }
  }

  memory(): { limit: number; used: number } {
    return { limit: Infinity, used: this.used }
  }

  readUtil(): { cpuUtilLimit: number; memUtilLimit: number } {
    return this.limits
  }

  stats(): { oomKills?: number; memoryPeakBytes?: number } {
    return this.oomKills === undefined ? {} : { oomKills: this.oomKills, memoryPeakBytes: this.memoryPeakBytes }
  }

  enter(): void {}

  async remove(): Promise<void> {
    this.removed = true
  }
}
