/** Load at a level, measured in windows until it is steady, in the way of Triton's perf_analyzer. */
import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeInferError } from '../../errors.js'
import { mean, percentile, sorted } from '../statistics.js'

/** A fixed number of requests in flight, or of requests sent a second whatever is answered. */
export type Level = { concurrency: number } | { requestRate: number }

export interface LevelPlan {
  /** Milliseconds of a window. */
  measurementInterval: number
  /** Windows are steady when rate and latency of three in a row are within this percentage of their mean. */
  stabilityPercentage: number
  signal?: AbortSignal | undefined
  /** Called as each window begins. */
  onWindow?: ((window: number) => void) | undefined
}

export interface LevelResult {
  level: Level
  /** Milliseconds of each request of the last windows. */
  latencies: number[]
  errors: number
  /** Of the first request that failed. */
  firstError: string | undefined
  requestsPerSecond: number
  stable: boolean
  /** CPU time that the loader took, as a share of one core. */
  loaderCpu: number
}

interface Window {
  latencies: number[]
  errors: number
  milliseconds: number
  loaderCpu: number
}

const STEADY_WINDOWS = 3
const MAX_WINDOWS = 10
/** An open load does not pile up more than this. */
const MAX_IN_FLIGHT = 256
const PAUSE_AFTER_ERROR = 20
const SETTLING = 300

/** @throws EdgeInferError ABORTED. */
export async function measureLevel(level: Level, call: () => Promise<unknown>, plan: LevelPlan): Promise<LevelResult> {
  const load = new Load(call)
  const ended = 'concurrency' in level ? load.runClosed(level.concurrency) : load.runOpen(level.requestRate)
  const windows: Window[] = []
  let stable = false
  try {
    await pause(SETTLING, plan.signal)
    while (windows.length < MAX_WINDOWS && !stable) {
      plan.onWindow?.(windows.length)
      windows.push(await measureWindow(load, plan))
      stable = isSteady(windows.slice(-STEADY_WINDOWS), plan.stabilityPercentage / 100)
    }
  } finally {
    load.stopped = true
    await ended
  }
  const last = windows.slice(-STEADY_WINDOWS)
  const latencies = last.flatMap((window) => window.latencies)
  const milliseconds = last.reduce((sum, window) => sum + window.milliseconds, 0)
  return {
    level, latencies, stable, firstError: load.firstError,
    errors: last.reduce((sum, window) => sum + window.errors, 0),
    requestsPerSecond: latencies.length * 1000 / milliseconds,
    loaderCpu: mean(last.map(({ loaderCpu }) => loaderCpu)),
  }
}

async function measureWindow(load: Load, { measurementInterval, signal }: LevelPlan): Promise<Window> {
  const [begin, cpu] = [performance.now(), process.cpuUsage()]
  load.latencies = []
  load.errors = 0
  await pause(measurementInterval, signal)
  const milliseconds = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  return {
    latencies: load.latencies, errors: load.errors, milliseconds, loaderCpu: (user + system) / 1000 / milliseconds,
  }
}

function isSteady(windows: readonly Window[], tolerance: number): boolean {
  if (windows.length < STEADY_WINDOWS) return false
  const steady = (values: number[]): boolean => values.every((value) => Math.abs(value / mean(values) - 1) <= tolerance)
  return steady(windows.map(({ latencies, milliseconds }) => latencies.length / milliseconds)) &&
    steady(windows.map(({ latencies }) => percentile(sorted(latencies), 50)))
}

/** Requests sent in one way or the other until it is told to stop. */
export class Load {
  latencies: number[] = []
  errors = 0
  firstError: string | undefined
  stopped = false
  readonly #call: () => Promise<unknown>
  #inFlight = 0

  constructor(call: () => Promise<unknown>) {
    this.#call = call
  }

  async runClosed(concurrency: number): Promise<void> {
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (!this.stopped) if (!await this.#one(performance.now())) await sleep(PAUSE_AFTER_ERROR)
    }))
  }

  /** Latency counts from when a request was due, so that a server that stalls is not spared those due meanwhile. */
  async runOpen(requestRate: number): Promise<void> {
    const underWay = new Set<Promise<unknown>>()
    const begin = performance.now()
    for (let count = 0; !this.stopped; count++) {
      const due = begin + count * 1000 / requestRate
      const wait = due - performance.now()
      if (wait > 0) await sleep(wait)
      if (this.#inFlight >= MAX_IN_FLIGHT) {
        this.errors += 1
        continue
      }
      const one = this.#one(due)
      underWay.add(one)
      void one.then(() => underWay.delete(one))
      if (wait <= 0 && count % MAX_IN_FLIGHT === 0) await sleep(0)
    }
    await Promise.all(underWay)
  }

  async #one(begin: number): Promise<boolean> {
    this.#inFlight += 1
    try {
      await this.#call()
      this.latencies.push(performance.now() - begin)
      return true
    } catch (error) {
      this.errors += 1
      this.firstError ??= (error as Error).message
      return false
    } finally {
      this.#inFlight -= 1
    }
  }
}

export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal })
  } catch (cause) {
    throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause })
  }
}
