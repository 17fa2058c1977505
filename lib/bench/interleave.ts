/** Contenders measured in turns, A B A B, so that what else the machine does falls on all of them alike. */
import { EdgeInferError } from '../errors.js'

/** Milliseconds of one request, as a whole and by stage. */
export interface Measurement {
  total: number
  stages: Readonly<Record<string, number>>
}

export interface Contender {
  name: string
  measure(): Promise<Measurement>
}

export interface InterleavePlan {
  /** Requests to each contender that are not counted. */
  warmupRequestCount: number
  /** Requests to each contender; when absent, as many as the interval holds. */
  requestCount?: number | undefined
  /** Milliseconds; at least {@link MIN_ROUNDS} rounds are run, however long they take. */
  measurementInterval: number
  /**
   * Milliseconds before it is the next contender's turn; a turn is one request unless said otherwise. A contender in
   * other processes finds the caches full of what was used meanwhile, after each turn, as it would nowhere but here.
   */
  turnInterval?: number | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

const MIN_ROUNDS = 10

/**
 * One list a contender, in the order given. Where a turn is one request, index `i` of all is one round.
 * @throws EdgeInferError ABORTED.
 */
export async function interleave(contenders: readonly Contender[], plan: InterleavePlan): Promise<Measurement[][]> {
  for (let index = 0; index < plan.warmupRequestCount; index++) await measureRound(contenders, 0, plan.signal)
  const results = contenders.map((): Measurement[] => [])
  const begin = performance.now()
  for (let done = 0; ;) {
    const elapsed = (performance.now() - begin) / plan.measurementInterval
    const enough = plan.requestCount ?? (elapsed < 1 ? Number.POSITIVE_INFINITY : MIN_ROUNDS)
    if (done >= enough) return results
    plan.onProgress?.(done, plan.requestCount ?? Math.max(MIN_ROUNDS, Math.ceil(done / Math.max(elapsed, 0.01))))
    const round = await measureRound(contenders, plan.turnInterval ?? 0, plan.signal)
    for (const [index, turn] of round.entries()) results[index]?.push(...turn)
    done = Math.min(...results.map(({ length }) => length))
  }
}

async function measureRound(
  contenders: readonly Contender[], turnInterval: number, signal: AbortSignal | undefined,
): Promise<Measurement[][]> {
  const round: Measurement[][] = []
  for (const contender of contenders) {
    const turn: Measurement[] = []
    const end = performance.now() + turnInterval
    do {
      if (signal?.aborted) throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause: signal.reason })
      turn.push(await contender.measure())
    } while (performance.now() < end)
    round.push(turn)
  }
  return round
}
