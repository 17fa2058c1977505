import { defaultModelFor, resolveModel, type TaskName } from '../models/index.js'
import { createProgressBar } from './progress.js'

/** Brings a task's model (its default one when `model` is absent) to this machine, with a progress bar. */
export async function fetchModel(task: TaskName, model: string | undefined, signal: AbortSignal): Promise<void> {
  const bar = createProgressBar('bytes')
  try {
    await resolveModel(model ?? defaultModelFor(task).name, {
      task,
      signal,
      onProgress: ({ files, bytes, total }) => bar.update(files.join(', '), bytes, total),
    })
  } finally {
    bar.stop()
  }
}
