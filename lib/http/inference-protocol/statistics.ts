/** What the tasks have done since the server started, in the form of Triton's statistics extension. */
import { TASK_NAMES, type TaskName } from '../../tasks/registry.js'
import type { StageTimings } from '../../native.js'
import type { TimedRun } from '../run-jobs.js'
import { MODEL_VERSION } from './models.js'

/** How often, and nanoseconds in all. */
class Duration {
  count = 0
  ns = 0

  add(milliseconds: number, count = 1): void {
    this.count += count
    this.ns += Math.round(milliseconds * 1e6)
  }
}

class ComputeStatistics {
  readonly compute_input = new Duration()
  readonly compute_infer = new Duration()
  readonly compute_output = new Duration()

  add({ decode, preprocess, inference, postprocess, encode }: StageTimings): void {
    this.compute_input.add(decode + preprocess)
    this.compute_infer.add(inference)
    this.compute_output.add(postprocess + encode)
  }
}

class TaskStatistics {
  last_inference = 0
  inference_count = 0
  execution_count = 0
  readonly requests = { success: new Duration(), fail: new Duration(), queue: new Duration() }
  readonly compute = new ComputeStatistics()
  /** By the pictures of one job; a request has few enough of them. */
  readonly batches = new Map<number, ComputeStatistics>()
}

export class Statistics {
  readonly #tasks = new Map(TASK_NAMES.map((task) => [task, new TaskStatistics()]))

  addRequest(task: TaskName, succeeded: boolean, milliseconds: number): void {
    this.#of(task).requests[succeeded ? 'success' : 'fail'].add(milliseconds)
  }

  /** The jobs of one request. */
  addRuns(task: TaskName, runs: readonly TimedRun[]): void {
    const statistics = this.#of(task)
    statistics.last_inference = Date.now()
    for (const { items: { length }, timings, queueMs } of runs) {
      statistics.inference_count += length
      statistics.execution_count += 1
      statistics.requests.queue.add(queueMs)
      statistics.compute.add(timings)
      const batch = statistics.batches.get(length) ?? new ComputeStatistics()
      batch.add(timings)
      statistics.batches.set(length, batch)
    }
  }

  of(task: TaskName): object {
    const { requests, compute, batches, ...counts } = this.#of(task)
    return {
      name: task,
      version: MODEL_VERSION,
      ...counts,
      // Answers are not cached.
      inference_stats: { ...requests, ...compute, cache_hit: new Duration(), cache_miss: new Duration() },
      batch_stats: [...batches].map(([size, batch]) => ({ batch_size: size, ...batch })),
    }
  }

  #of(task: TaskName): TaskStatistics {
    return this.#tasks.get(task) as TaskStatistics
  }
}
