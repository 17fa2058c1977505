/** The jobs of one request, given to the workers of its task. */
import { EdgeInferError } from '../errors.js'
import type { TaskName } from '../tasks/registry.js'
import type { Job } from '../inference/job.js'
import type { JobRun, RunOptions, WorkerService } from '../workers/types.js'
import type { RequestLifecycle } from './lifecycle.js'
import { epochNow } from './tracing.js'

/** A job's result and how long it waited for its worker. */
export interface TimedRun extends JobRun {
  queueMs: number
}

/**
 * Runs of all the jobs, in their order; where one fails the others are cancelled.
 * @throws EdgeInferError as {@link WorkerService.run}.
 */
export async function runJobs(
  workers: WorkerService, task: TaskName, jobs: readonly Job[], { signal, trace }: RequestLifecycle,
  timeoutMs: number | undefined,
): Promise<TimedRun[]> {
  const run = async (job: Job, options: RunOptions): Promise<TimedRun> => {
    const begin = epochNow()
    const done = await workers.run(task, job, options)
    const end = epochNow()
    trace?.job(done, begin, end)
    return { ...done, queueMs: Math.max(0, end - begin - done.usage.wallSeconds * 1000) }
  }
  const [first] = jobs
  if (first && jobs.length === 1) return [await run(first, { signal, timeoutMs })]
  const siblings = new AbortController()
  const cancel = (): void => siblings.abort()
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel)
  try {
    return await Promise.all(jobs.map((job) => run(job, { signal: siblings.signal, timeoutMs })))
  } catch (error) {
    cancel()
    throw error
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** Milliseconds from now until the caller, who waits so long from when its request had come, no longer does. */
export function timeLeft(timeoutMs: number | undefined, { receivedAt }: RequestLifecycle): number | undefined {
  if (timeoutMs === undefined) return undefined
  const left = timeoutMs - (performance.now() - receivedAt)
  if (left > 0) return left
  throw new EdgeInferError('TIMEOUT', `The request was not answered within its ${timeoutMs} ms`)
}

/** A task without a worker is refused before its images are received. @throws EdgeInferError NO_WORKER, STARTING */
export function refuseWithoutWorker(workers: WorkerService, task: TaskName): void {
  const refusal = workers.refusal(task)
  if (refusal) throw refusal
}
