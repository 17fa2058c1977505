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
  /** Milliseconds; at least {@link LEAST_ROUNDS} rounds are run, however long they take. */
  measurementInterval: number
  /**
   * Requests to a contender before it is the next one's turn; 1 unless said otherwise. A contender in other processes
   * finds its caches full of what the other used after each turn, which no caller but this bench would do to it.
   */
  turnLength?: number | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

const LEAST_ROUNDS = 10

/** One list a contender, in the order given; index `i` of all is one round. @throws EdgeInferError ABORTED. */
export async function interleave(contenders: readonly Contender[], plan: InterleavePlan): Promise<Measurement[][]> {
  await measureRound(contenders, plan.warmupRequestCount, plan.signal)
  const { turnLength = 1 } = plan
  const results = contenders.map((): Measurement[] => [])
  const begin = performance.now()
  for (let done = 0; ; done += turnLength) {
    const elapsed = (performance.now() - begin) / plan.measurementInterval
    const enough = plan.requestCount ?? (elapsed < 1 ? Number.POSITIVE_INFINITY : LEAST_ROUNDS)
    if (done >= enough) return results
    plan.onProgress?.(done, plan.requestCount ?? Math.max(LEAST_ROUNDS, Math.ceil(done / Math.max(elapsed, 0.01))))
    const round = await measureRound(contenders, turnLength, plan.signal)
    for (const [index, turn] of round.entries()) results[index]?.push(...turn)
  }
}

async function measureRound(
  contenders: readonly Contender[], turnLength: number, signal: AbortSignal | undefined,
): Promise<Measurement[][]> {
  const round: Measurement[][] = []
  for (const contender of contenders) {
    const turn: Measurement[] = []
    for (let index = 0; index < turnLength; index++) {
      if (signal?.aborted) throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause: signal.reason })
      turn.push(await contender.measure())
    }
    round.push(turn)
  }
  return round
}
