import { EdgeInferError } from '../errors.js'
import { openLimits } from './limits/index.js'
import { Workers, type WorkersOptions } from './service.js'

/**
 * Starts this node's workers; resolves when each task has its workers ready, or is known to have none. With
 * `background` those that take long are not waited for.
 */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const limits = await openLimits({})
  if (!limits.available) options.log.warn(limits.reason)
  const workers = new Workers(options, limits)
  const { signal } = options
  let cancel = (): void => {}
  const cancelled = new Promise<never>((_, reject) => {
    cancel = () => reject(new EdgeInferError('ABORTED', 'The start was cancelled', { cause: signal?.reason }))
    if (signal?.aborted) cancel()
    signal?.addEventListener('abort', cancel, { once: true })
  })
  try {
    await Promise.race([cancelled, workers.start()])
  } catch (error) {
    await workers.close({ now: true })
    throw error
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
  return workers
}

export { Workers, type WorkersOptions } from './service.js'
export type {
  EffectiveLimits, JobRun, MissingTask, ModelContext, RestartCount, RunOptions, WorkerInfo, WorkerService, WorkerUsage,
} from './types.js'
