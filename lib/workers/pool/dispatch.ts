/** Which job goes to which worker: each to the one that will have done it first. */
import type { PoolWorker } from './pool-worker.js'

/** A guess at a job's length before any was run, milliseconds. */
const TYPICAL_MS = 50

/** A worker that takes jobs, as the dispatch sees it. */
export interface Candidate {
  readonly hasRoom: boolean
  /** Milliseconds until it has done the jobs assigned to it. */
  freeIn: number
  /** Milliseconds it takes for a job. */
  jobTime: number
  /** Whether it has a job. */
  isBusy: boolean
  /** Whether its job takes much longer than it should: not to be counted on. */
  isOverdue: boolean
  /** What it uses of the machine's CPU time when it has enough to do, as a share. */
  cpuShare: number
}

/**
 * As many workers as can use up the task's share of the machine's CPU time, busy ones first. One more would not do
 * more in all: the kernel would only stop the others in the middle of their jobs.
 */
export function withinCpuQuota<Worker extends Candidate>(
  workers: readonly Worker[], taskShare: number,
): readonly Worker[] {
  if (taskShare >= 1) return workers
  let used = 0
  return [...workers].sort((a, b) => Number(b.isBusy) - Number(a.isBusy)).filter(({ isOverdue, cpuShare }) => {
    if (used >= taskShare) return false
    if (!isOverdue) used += cpuShare
    return true
  })
}

/**
 * The next dispatch from a queue of `waiting` jobs, in the order they came: a worker with room, and the index of the
 * first job that no other worker would have done before it. Undefined where every job is better off waiting.
 */
export function nextDispatch<Worker extends Candidate>(
  workers: readonly Worker[], waiting: number,
): { worker: Worker; index: number } | undefined {
  let best: { worker: Worker; index: number } | undefined
  for (const worker of workers) {
    if (!worker.hasRoom) continue
    const finish = worker.freeIn + worker.jobTime
    const index = workers.reduce((sum, other) => other === worker ? sum : sum + doneBefore(finish, other), 0)
    if (index < waiting && (!best || index < best.index)) best = { worker, index }
  }
  return best
}

/** How many of the waiting jobs each worker will do, by the same estimate. */
export function estimateShares<Worker extends Candidate>(
  workers: readonly Worker[], waiting: number,
): Map<Worker, number> {
  const shares = new Map(workers.map((worker) => [worker, 0]))
  const finish = (worker: Worker): number => worker.freeIn + worker.jobTime * ((shares.get(worker) as number) + 1)
  for (let left = workers.length > 0 ? waiting : 0; left > 0; left -= 1) {
    const first = workers.reduce((best, next) => finish(next) < finish(best) ? next : best)
    shares.set(first, (shares.get(first) as number) + 1)
  }
  return shares
}

function doneBefore(deadline: number, { freeIn, jobTime }: Candidate): number {
  return Math.max(0, Math.ceil((deadline - freeIn) / jobTime) - 1)
}

/** Milliseconds of a job at the task's workers; a guess before any was run. */
export function typicalJobTime(workers: readonly PoolWorker[]): number {
  const means = workers.flatMap(({ latency }) => latency.mean ?? [])
  return means.length > 0 ? means.reduce((sum, mean) => sum + mean, 0) / means.length : TYPICAL_MS
}

/** The ready workers as the dispatch sees them. */
export function candidatesOf(
  workers: readonly PoolWorker[], now: number, cores: number,
): (Candidate & { worker: PoolWorker })[] {
  const ready = workers.filter(({ state }) => state === 'ready')
  return ready.map((worker) =>
    worker.candidate(now, Math.max(0.01, fastestMean(ready, worker) ?? typicalJobTime(workers)), cores))
}

/**
 * Milliseconds of a job at the fastest of the workers that are set up as this one is. Its own mean is of its last jobs,
 * which may be long ago: taken for slow it would be given no others, and stay so.
 */
function fastestMean(workers: readonly PoolWorker[], { taskOptions, threads, limits }: PoolWorker): number | undefined {
  let fastest: number | undefined
  for (const other of workers) {
    const { mean } = other.latency
    const alike = other.taskOptions === taskOptions && other.threads === threads &&
      other.limits.cpuUtilLimit === limits.cpuUtilLimit
    if (alike && mean !== undefined && (fastest === undefined || mean < fastest)) fastest = mean
  }
  return fastest
}
