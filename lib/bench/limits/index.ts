/** Whether a CPU limit holds: limit asked → CPU used, and what it does to latency. */
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { EdgeInferError } from '../../errors.js'
import { resolveSample } from '../../models/index.js'
import { toNativeImage, type TaskName } from '../../tasks/index.js'
import { startWorkers, type Workers } from '../../workers/index.js'
import type { GroupStats } from '../../workers/limits/index.js'
import { SaturatingLoad, type Answered } from './load.js'
import { takeSample, usageBetween, type Sample, type Usage } from './sampler.js'

export interface LimitsBenchOptions {
  task: TaskName
  model?: string | undefined
  device?: string | undefined
  /** The sample photograph when absent. */
  image?: string | undefined
  /** Shares of the machine. */
  limits: readonly number[]
  /** Numbers of workers; one is limited as a process, several as a task. */
  workers: readonly number[]
  /** Seconds to measure each limit. */
  seconds: number
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total?: number) => void) | undefined
}

export interface LimitResult extends Usage {
  task: TaskName
  workers: number
  /** As read back from the kernel. */
  limit: number
  /** Seconds measured. */
  seconds: number
  answered: readonly Answered[]
  errors: number
}

/** What happened when a limit was changed under load. */
export interface StepResult {
  task: TaskName
  workers: number
  from: number
  to: number
  /** Milliseconds until the change was acknowledged. */
  acknowledged: number
  /** Milliseconds from the request to the first 100 ms within the limit; undefined: not within {@link STEP_WATCH}. */
  effect: number | undefined
  /** Milliseconds that the slowest request took that was answered meanwhile. */
  slowest: number
}

export interface LimitResults {
  cores: number
  results: LimitResult[]
  steps: StepResult[]
}

export const EFFECT_WINDOW = 100
/** How far from its limit a use of CPU may be and count as holding it. */
export const TOLERANCE = 0.05
const STEP = { from: 1, to: 0.25 }
const STEP_WATCH = 2000
const STEP_SAMPLE_INTERVAL = 10
/** Threads follow a limit after half a second, and the model is loaded anew for it. */
const SETTLING = 2000
/** Requests in flight for each worker: one it runs, one that waits. */
const IN_FLIGHT = 2

/** @throws EdgeInferError CGROUP_UNAVAILABLE, NO_WORKER, ABORTED. */
export async function measureLimits(options: LimitsBenchOptions): Promise<LimitResults> {
  const results: LimitResults = { cores: 0, results: [], steps: [] }
  const image = await toNativeImage(options.image ?? await resolveSample('faces'))
  for (const workers of options.workers) {
    const { task, model, device, signal } = options
    const modelContext = model === undefined ? undefined : { weights: model }
    const service = await startWorkers({
      tasks: { [task]: { workers, modelContext } }, device, signal, log: pino({ level: 'error' }, pino.destination(2)),
    })
    try {
      results.cores = service.limits.capacity.cores
      const subject = new Subject(service, task, workers)
      await service.limits.preferOverOthers()
      const load = new SaturatingLoad(workers * IN_FLIGHT, async () => {
        const { usage } = await service.run(task, { images: [image] })
        return usage.wallSeconds * 1000
      })
      try {
        for (const limit of options.limits) results.results.push(await measureLimit(subject, load, limit, options))
        results.steps.push(await measureStep(subject, load, options))
      } finally {
        await load.stop()
      }
    } finally {
      await service.close({ now: true })
    }
  }
  return results
}

/** The workers that a limit is set on: one as a process, several as their task. */
class Subject {
  readonly task: TaskName
  readonly workers: number
  readonly cores: number
  readonly #service: Workers
  readonly #pid: number | undefined

  constructor(service: Workers, task: TaskName, workers: number) {
    const { limits, unavailable } = service
    const reason = limits.missing.cpu
    if (reason !== undefined) throw new EdgeInferError('CGROUP_UNAVAILABLE', `CPU limits cannot be measured: ${reason}`)
    const running = service.workers(task)
    if (running.length < workers) {
      throw new EdgeInferError(
        'NO_WORKER', `${task} has ${running.length} of ${workers} workers: ${unavailable.get(task)}`,
      )
    }
    this.task = task
    this.workers = workers
    this.cores = limits.capacity.cores
    this.#service = service
    this.#pid = workers === 1 ? running[0]?.pid : undefined
  }

  async limit(cpuUtilLimit: number): Promise<number> {
    const body = { cpu_util_limit: cpuUtilLimit }
    const readings = this.#pid === undefined
      ? await this.#service.limitTask(this.task, body)
      : await this.#service.limitProcess(this.#pid, this.task, body)
    return readings.cpuUtilLimit
  }

  sample(): Sample {
    return takeSample(this.#stats())
  }

  #stats(): GroupStats {
    return this.#service.stats(this.task, this.#pid)
  }
}

async function measureLimit(
  subject: Subject, load: SaturatingLoad, asked: number, { seconds, signal, onProgress }: LimitsBenchOptions,
): Promise<LimitResult> {
  const limit = await subject.limit(asked)
  await pause(SETTLING, signal)
  load.take()
  const before = subject.sample()
  const label = `${subject.task}, ${subject.workers} worker${subject.workers === 1 ? '' : 's'}, limit ${asked}, seconds`
  for (let second = 0; second < seconds; second++) {
    onProgress?.(label, second, seconds)
    await pause(1000, signal)
  }
  const after = subject.sample()
  return {
    task: subject.task, workers: subject.workers, limit, seconds: (after.at - before.at) / 1000,
    ...usageBetween(before, after, subject.cores), ...load.take(),
  }
}

async function measureStep(
  subject: Subject, load: SaturatingLoad, { signal, onProgress }: LimitsBenchOptions,
): Promise<StepResult> {
  const { from, to } = STEP
  onProgress?.(`${subject.task}, from ${from} to ${to}`, 0)
  await subject.limit(from)
  await pause(SETTLING, signal)
  load.take()
  const begin = performance.now()
  await subject.limit(to)
  const acknowledged = performance.now() - begin
  const samples = [subject.sample()]
  while (performance.now() - begin < STEP_WATCH) {
    await pause(STEP_SAMPLE_INTERVAL, signal)
    samples.push(subject.sample())
  }
  const within = firstWindowWithin(samples, to, subject.cores)
  return {
    task: subject.task, workers: subject.workers, from, to, acknowledged,
    effect: within === undefined ? undefined : within - begin,
    slowest: Math.max(0, ...load.take().answered.map(({ latency }) => latency)),
  }
}

/** When the first stretch of {@link EFFECT_WINDOW} ms began in which no more than `limit` was used. */
function firstWindowWithin(samples: readonly Sample[], limit: number, cores: number): number | undefined {
  for (const before of samples) {
    const after = samples.find(({ at }) => at - before.at >= EFFECT_WINDOW)
    if (after && usageBetween(before, after, cores).cpu <= limit * (1 + TOLERANCE)) return before.at
  }
  return undefined
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal })
  } catch (cause) {
    throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause })
  }
}
