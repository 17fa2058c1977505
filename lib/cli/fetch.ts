/** Models and sample pictures, brought to this machine with a progress bar where they are not on it. */
import { resolveSample, type FetchOptions } from '../models/index.js'
import { resolveTaskModel } from '../tasks/models.js'
import type { TaskName } from '../tasks/registry.js'
import { createProgressBar } from './progress.js'

/** A task's model; its default one when `model` is absent. */
export async function fetchModel(task: TaskName, model: string | undefined, signal: AbortSignal): Promise<void> {
  await withBar(signal, (options) => resolveTaskModel(task, model, options))
}

/** Path of a sample picture. */
export function fetchSample(name: string, signal: AbortSignal): Promise<string> {
  return withBar(signal, (options) => resolveSample(name, options))
}

async function withBar<T>(signal: AbortSignal, fetch: (options: FetchOptions) => Promise<T>): Promise<T> {
  const bar = createProgressBar('bytes')
  try {
    return await fetch({ signal, onProgress: ({ files, bytes, total }) => bar.update(files.join(', '), bytes, total) })
  } finally {
    bar.stop()
  }
}
