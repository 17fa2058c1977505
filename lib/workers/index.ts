import { EdgeInferError } from '../errors.js'
import { openLimits } from './limits/index.js'
import { Workers, type WorkersOptions } from './service.js'

/** Starts this node's workers; resolves when each task has its workers ready, or is known to have none. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const limits = await openLimits({})
  if (!limits.available) options.log.warn(limits.reason)
  const workers = new Workers(options, limits)
  const { signal } = options
  let giveUp = (): void => {}
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = () => reject(new EdgeInferError('ABORTED', 'The start was given up', { cause: signal?.reason }))
    if (signal?.aborted) giveUp()
    signal?.addEventListener('abort', giveUp, { once: true })
  })
  try {
    await Promise.race([givenUp, workers.start()])
  } catch (error) {
    await workers.close({ now: true })
    throw error
  } finally {
    signal?.removeEventListener('abort', giveUp)
  }
  return workers
}

export { Workers, type WorkersOptions } from './service.js'
export type { JobRun, EffectiveLimits, RestartCount, WorkerUsage, ModelContext, RunOptions, WorkerInfo, WorkerService } from './types.js'
