/**
 * The figures of a node for Prometheus. Names end in their unit; labels are bounded: pids last as long as their worker.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { TaskName } from '../tasks/registry.js'
import type { NodeCapacity } from '../host/index.js'
import type { WorkerService } from '../workers/types.js'
import { Statistics } from './inference-protocol/statistics.js'
import type { TimedRun } from './run-jobs.js'

/** From a face on a fast machine to a large model on a small one, seconds. */
const REQUEST_BUCKETS = [0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const STAGE_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

export interface MetricsSources {
  workers: WorkerService
  capacity(): NodeCapacity
  /** The nodes of the cluster this node knows. */
  nodes(): readonly { role: string; lost: boolean }[]
  /** Lines of the log that nobody took, by their stream. */
  lostLines(): Readonly<Record<string, number>>
}

export class Metrics {
  readonly statistics = new Statistics()
  readonly #registry = new Registry()
  readonly #requests: Histogram<'task' | 'route' | 'status'>
  readonly #stages: Histogram<'task' | 'stage'>

  constructor(sources: MetricsSources) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry, prefix: 'edge_infer_server_' })
    this.#requests = new Histogram({
      name: 'edge_infer_request_duration_seconds', help: 'From the first byte of a request to the end of its answer',
      labelNames: ['task', 'route', 'status'], buckets: REQUEST_BUCKETS, registers,
    })
    this.#stages = new Histogram({
      name: 'edge_infer_stage_duration_seconds', help: 'Time of one stage of a job, in the worker',
      labelNames: ['task', 'stage'], buckets: STAGE_BUCKETS, registers,
    })
    registerWorkerMetrics(sources, registers)
    registerNodeMetrics(sources, registers)
    registerLogMetrics(sources, registers)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  observeRequest(task: TaskName, route: string, status: number, seconds: number): void {
    this.#requests.observe({ task, route, status: String(status) }, seconds)
    this.statistics.addRequest(task, status < 400, seconds * 1000)
  }

  observeRuns(task: TaskName, runs: readonly TimedRun[]): void {
    this.statistics.addRuns(task, runs)
    for (const { timings } of runs) {
      for (const [stage, milliseconds] of Object.entries(timings)) {
        this.#stages.observe({ task, stage }, milliseconds / 1000)
      }
    }
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}

function registerWorkerMetrics({ workers, capacity }: MetricsSources, registers: Registry[]): void {
  const byWorker = (
    name: string, help: string, read: (worker: ReturnType<WorkerService['usage']>[number]) => number,
  ): void => {
    new Gauge({
      name, help, labelNames: ['task', 'pid'], registers,
      collect() {
        this.reset()
        for (const worker of workers.usage()) this.set({ task: worker.task, pid: String(worker.pid) }, read(worker))
      },
    })
  }
  byWorker('edge_infer_worker_cpu_seconds', 'CPU time of the worker since it started', ({ cpuSeconds }) => cpuSeconds)
  byWorker('edge_infer_worker_memory_bytes', 'Resident memory of the worker', ({ memoryBytes }) => memoryBytes)
  byWorker('edge_infer_worker_throttled_seconds', 'Time the worker was held back by its CPU limit',
    ({ throttledSeconds }) => throttledSeconds)
  byWorker('edge_infer_worker_cpu_limit_ratio', 'CPU limit as a share of all cores', ({ cpuUtilLimit }) => cpuUtilLimit)
  byWorker(
    'edge_infer_worker_memory_limit_bytes', 'Memory limit', ({ memUtilLimit }) => memUtilLimit * capacity().memoryBytes,
  )
  new Gauge({
    name: 'edge_infer_queue_requests', help: 'Requests waiting or running', labelNames: ['task'], registers,
    collect() {
      this.reset()
      for (const task of workers.tasks) {
        this.set({ task }, workers.workers(task).reduce((sum, { taskToDo }) => sum + taskToDo, 0))
      }
    },
  })
  new Gauge({
    name: 'edge_infer_workers', help: 'Workers that are ready', labelNames: ['task'], registers,
    collect() {
      this.reset()
      for (const task of workers.tasks) this.set({ task }, workers.count(task))
    },
  })
  new Counter({
    name: 'edge_infer_worker_restarts_total', help: 'Workers that died and were replaced',
    labelNames: ['task', 'reason'], registers,
    collect() {
      this.reset()
      for (const { task, reason, count } of workers.restarts()) this.inc({ task, reason }, count)
    },
  })
}

function registerNodeMetrics({ nodes }: MetricsSources, registers: Registry[]): void {
  new Gauge({
    name: 'edge_infer_cluster_nodes', help: 'Nodes this node knows of, itself among them', labelNames: ['role', 'lost'],
    registers,
    collect() {
      this.reset()
      for (const { role, lost } of nodes()) this.inc({ role, lost: String(lost) })
    },
  })
}

function registerLogMetrics({ lostLines }: MetricsSources, registers: Registry[]): void {
  new Counter({
    name: 'edge_infer_log_lines_lost_total', help: 'Lines of the log that nobody took',
    labelNames: ['stream'], registers,
    collect() {
      this.reset()
      for (const [stream, count] of Object.entries(lostLines())) this.inc({ stream }, count)
    },
  })
}
