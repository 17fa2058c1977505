/** A server's memory under a steady load for a long time: whether it grows. */
import { Load, pause } from './levels.js'
import { memoryOf, type Memory } from './memory.js'
import type { BenchServer } from './server.js'

export interface SoakPlan {
  /** Milliseconds. */
  duration: number
  requestRate: number
  signal?: AbortSignal | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** Memory at one instant. */
export interface SoakSample {
  /** Seconds since the load began. */
  at: number
  server: Memory
  /** Of all together. */
  workers: Memory
}

export interface Soak {
  requestRate: number
  /** Seconds. */
  duration: number
  samples: SoakSample[]
  /** Milliseconds of each request. */
  latencies: number[]
  errors: number
  /** Of the first request that failed. */
  firstError: string | undefined
  /** Workers that ended meanwhile. */
  lostWorkers: number
}

const SAMPLES = 120
const SHORTEST_STEP = 500

/** @throws EdgeInferError ABORTED, INTERNAL when the server ended. */
export async function measureSoak(server: BenchServer, call: () => Promise<unknown>, plan: SoakPlan): Promise<Soak> {
  const { duration, requestRate, signal, onProgress } = plan
  const steps = Math.max(3, Math.min(SAMPLES, Math.floor(duration / SHORTEST_STEP)))
  const load = new Load(call)
  const samples: SoakSample[] = []
  const first = (await server.figures()).workerPids
  let last = first
  const begin = performance.now()
  const ended = load.runOpen(requestRate)
  try {
    for (let step = 1; step <= steps; step++) {
      onProgress?.(step - 1, steps)
      await pause(Math.max(0, begin + step * duration / steps - performance.now()), signal)
      last = (await server.figures()).workerPids
      samples.push({ at: (performance.now() - begin) / 1000, server: memoryOf([server.pid]), workers: memoryOf(last) })
    }
  } finally {
    load.stopped = true
    await ended
  }
  return {
    requestRate, samples, latencies: load.latencies, errors: load.errors, firstError: load.firstError,
    duration: (performance.now() - begin) / 1000, lostWorkers: first.filter((pid) => !last.includes(pid)).length,
  }
}
