/** Two servers under the same load in turns, once it is known that they answer the same. */
import type { FoundBox } from '../accuracy/matching.js'
import { compareAnswers, type Agreement } from '../compare/agreement.js'
import { summarize } from '../statistics.js'
import { makeBody, type RequestEncoding, type RequestBody } from './body.js'
import type { Caller } from './caller.js'
import { measureLevel, type Level } from './levels.js'
import type { Frame } from './picture.js'

/** One level: what each turn of either server gave; index `i` of all is one round. */
export interface ComparisonLevel {
  encoding: RequestEncoding
  level: Level
  ours: Turn[]
  theirs: Turn[]
}

export interface Turn {
  requestsPerSecond: number
  /** Median milliseconds. */
  latency: number
}

export interface ServerComparison {
  name: string
  agreement: Agreement
  levels: ComparisonLevel[]
}

/** The encoding that the other server takes. */
const THEIR_ENCODING: RequestEncoding = 'bytes-literal'
/** Ours is asked in that encoding, and in its best. */
const OUR_ENCODINGS: readonly RequestEncoding[] = ['bytes-literal', 'raw']
const ROUNDS = 5
/** Any three windows will do: rounds are what is compared. */
const ANY = 1e9

export interface ComparisonPlan {
  /** Milliseconds of a turn's window, of which there are three. */
  measurementInterval: number
  levels: readonly Level[]
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total?: number) => void) | undefined
}

export async function measureServers(
  name: string, ours: Caller, theirs: Caller, frame: Frame, plan: ComparisonPlan,
): Promise<ServerComparison> {
  const theirBody = makeBody(frame, THEIR_ENCODING)
  const agreement = compareAnswers(
    foundIn(await ours.answer(theirBody)), foundIn(await theirs.answer(theirBody)))
  const turn = async (caller: Caller, body: RequestBody, level: Level): Promise<Turn> => {
    const { requestsPerSecond, latencies, errors, firstError } = await measureLevel(
      level, () => caller.send(body), { ...plan, stabilityPercentage: ANY })
    if (errors > 0) throw new Error(`${errors} requests failed, the first: ${firstError}`)
    return { requestsPerSecond, latency: summarize(latencies, [50]).percentiles[50] ?? Number.NaN }
  }
  const levels: ComparisonLevel[] = []
  for (const encoding of OUR_ENCODINGS) {
    for (const level of plan.levels) {
      const result: ComparisonLevel = { encoding, level, ours: [], theirs: [] }
      for (let round = 0; round < ROUNDS; round++) {
        plan.onProgress?.(`${encoding} compared with ${name}`, round, ROUNDS)
        result.ours.push(await turn(ours, makeBody(frame, encoding), level))
        result.theirs.push(await turn(theirs, theirBody, level))
      }
      levels.push(result)
    }
  }
  return { name, agreement, levels }
}

function foundIn({ bbox, prob }: Readonly<Record<string, unknown>>): FoundBox[] {
  const scores = prob as number[]
  return (bbox as FoundBox['box'][]).map((box, index) => ({ box, score: scores[index] as number, classId: 0 }))
}
