/** Bench targets measured in turns, A B A B, so that what else the machine does falls on all of them alike. */
import { EdgeInferError } from '../errors.js'

/** Milliseconds of one request, as a whole and by stage. */
export interface Measurement {
  total: number
  stages: Readonly<Record<string, number>>
}

export interface BenchTarget {
  name: string
  measure(): Promise<Measurement>
}

export interface InterleavePlan {
  /** Requests to each bench target that are not counted. */
  warmupRequestCount: number
  /** Requests to each bench target; when absent, as many as the interval holds. */
  requestCount?: number | undefined
  /** Milliseconds; at least {@link MIN_ROUNDS} rounds are run, however long they take. */
  measurementInterval: number
  /**
   * Milliseconds of one bench target's turn; one request when absent. At each turn a target in another process finds
   * the CPU caches filled by the others, which happens only in a bench.
   */
  turnInterval?: number | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

const MIN_ROUNDS = 10

/**
 * One list per bench target, in the order given. Where a turn is one request, index `i` of all is one round.
 * @throws EdgeInferError ABORTED.
 */
export async function interleave(benchTargets: readonly BenchTarget[], plan: InterleavePlan): Promise<Measurement[][]> {
  for (let index = 0; index < plan.warmupRequestCount; index++) await measureRound(benchTargets, 0, plan.signal)
  const results = benchTargets.map((): Measurement[] => [])
  const begin = performance.now()
  for (let done = 0; ;) {
    const elapsed = (performance.now() - begin) / plan.measurementInterval
    const enough = plan.requestCount ?? (elapsed < 1 ? Number.POSITIVE_INFINITY : MIN_ROUNDS)
    if (done >= enough) return results
    plan.onProgress?.(done, plan.requestCount ?? Math.max(MIN_ROUNDS, Math.ceil(done / Math.max(elapsed, 0.01))))
    const round = await measureRound(benchTargets, plan.turnInterval ?? 0, plan.signal)
    for (const [index, turn] of round.entries()) results[index]?.push(...turn)
    done = Math.min(...results.map(({ length }) => length))
  }
}

async function measureRound(
  benchTargets: readonly BenchTarget[], turnInterval: number, signal: AbortSignal | undefined,
): Promise<Measurement[][]> {
  const round: Measurement[][] = []
  for (const benchTarget of benchTargets) {
    const turn: Measurement[] = []
    const end = performance.now() + turnInterval
    do {
      if (signal?.aborted) throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause: signal.reason })
      turn.push(await benchTarget.measure())
    } while (performance.now() < end)
    round.push(turn)
  }
  return round
}
