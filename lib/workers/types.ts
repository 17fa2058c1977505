/** What the workers of a node offer the layers above. */
import type { EdgeInferError } from '../errors.js'
import type { TaskName } from '../tasks/registry.js'
import type { Job, JobResult } from '../inference/job.js'
import type { EffectiveLimits } from './limits/registry.js'

export type { EffectiveLimits } from './limits/registry.js'

export interface WorkerInfo extends EffectiveLimits {
  task: TaskName
  pid: number
  /** Name of the model. */
  model: string
  /** ONNX Runtime's name of the execution provider that runs it. */
  provider: string
  /** Requests waiting or running. */
  taskToDo: number
  /** Medians and tails of the last requests, milliseconds; undefined before the first. */
  latency: { p50: number; p99: number } | undefined
  startedAt: Date
  restarts: number
}

/** What a worker has used since it started, beside its limits. */
export interface WorkerUsage extends EffectiveLimits {
  task: TaskName
  pid: number
  cpuSeconds: number
  /** Resident. */
  memoryBytes: number
  /** Held back by its CPU limit; 0 where there are no control groups. */
  throttledSeconds: number
}

/** How often workers of a task were replaced, by what they died of: a signal, `exit <code>`, `out of memory`. */
export interface RestartCount {
  task: TaskName
  reason: string
  count: number
}

/** A job's result, the worker that did it, and the limits it was done under. */
export interface JobRun extends JobResult {
  pid: number
  limits: EffectiveLimits
}

/** Tells that the caller no longer waits: an AbortSignal, or something of its form. */
export interface CancelSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface RunOptions {
  signal?: CancelSignal | undefined
  /** Milliseconds from now after which the caller no longer waits: TIMEOUT. */
  timeoutMs?: number | undefined
}

/** `model_ctx` of the interface, as it came. */
export type ModelContext = Readonly<Record<string, unknown>>

/** Why a configured task has no worker. */
export interface MissingTask {
  /** `fetching`: its model is on its way; `starting`: a worker is; `failed`: at best it is tried again, later. */
  state: 'fetching' | 'starting' | 'failed'
  /** For people: a sentence or its end. */
  why: string
  /** Of the download; `total` where it is known. */
  bytes?: number | undefined
  total?: number | undefined
}

/** The worker processes of this node. Every promise rejects with an EdgeInferError. */
export interface WorkerService {
  /** Tasks with a live worker. */
  readonly tasks: TaskName[]
  /** Whether every configured task has a worker that is ready. */
  readonly ready: boolean
  /** Configured tasks without a worker. */
  readonly missing: ReadonlyMap<TaskName, MissingTask>
  /** Why its workers are slower than when they started: their node's CPU was lowered. Undefined where it was not. */
  readonly lessCpu: string | undefined
  /** Why a job of the task would be refused now. */
  refusal(task: TaskName): EdgeInferError | undefined
  workers(task?: TaskName): WorkerInfo[]
  /** How many workers of the task take jobs. */
  count(task: TaskName): number
  usage(): WorkerUsage[]
  restarts(): RestartCount[]
  /** @throws UNKNOWN_TASK, NO_WORKER, STARTING, QUEUE_FULL, TIMEOUT, ABORTED, WORKER_DIED, CLOSED, the job's own. */
  run(task: TaskName, job: Job, options?: RunOptions): Promise<JobRun>
  /**
   * Answers when the worker has loaded and warmed its model.
   * @throws BAD_MODEL_CTX, MODEL_*, LIMIT_TOO_LOW, WORKER_DIED, CLOSED.
   */
  add(task: TaskName, modelContext?: ModelContext): Promise<WorkerInfo>
  /**
   * The newest worker finishes what it runs and ends; no pid: it had no process yet.
   * @throws LAST_WORKER, NO_WORKER, STARTING.
   */
  decrease(task: TaskName): Promise<{ pid: number | undefined }>
  /**
   * `limits`: the body of the request, unknown keys ignored.
   * @throws BAD_LIMIT, UNKNOWN_PID, CGROUP_UNAVAILABLE; LIMIT_TOO_LOW after the other limits were set, whose names are
   *   its `details.applied`.
   */
  limitProcess(pid: unknown, task: unknown, limits: Readonly<Record<string, unknown>>): Promise<EffectiveLimits>
  limitTask(task: TaskName, limits: Readonly<Record<string, unknown>>): Promise<EffectiveLimits>
  /** Limits of a task as they stand, for service_state. */
  taskLimits(task: TaskName): EffectiveLimits
  /** Takes no more jobs, finishes those it has, ends the workers. `now`: does not wait for them. */
  close(options?: { now?: boolean }): Promise<void>
}
