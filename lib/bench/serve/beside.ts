/** Two servers under the same load in turns, once it is known that they answer the same. */
import type { FoundBox } from '../accuracy/matching.js'
import { compareAnswers, type Agreement } from '../compare/agreement.js'
import { summarize } from '../statistics.js'
import { makeBody, type Form, type RequestBody } from './body.js'
import type { Caller } from './caller.js'
import { measureLevel, type Level } from './levels.js'
import type { Frame } from './picture.js'

/** One level: what each turn of either server gave; index `i` of all is one round. */
export interface BesideLevel {
  form: Form
  level: Level
  ours: Turn[]
  theirs: Turn[]
}

export interface Turn {
  requestsPerSecond: number
  /** Median milliseconds. */
  latency: number
}

export interface Beside {
  name: string
  agreement: Agreement
  levels: BesideLevel[]
}

/** The form that the other server takes. */
const THEIR_FORM: Form = 'bytes-literal'
/** Ours is asked in that form, and in its best. */
const OUR_FORMS: readonly Form[] = ['bytes-literal', 'raw']
const ROUNDS = 5
/** Any three windows will do: rounds are what is compared. */
const ANY = 1e9

export interface BesidePlan {
  /** Milliseconds of a turn's window, of which there are three. */
  measurementInterval: number
  levels: readonly Level[]
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total?: number) => void) | undefined
}

export async function measureBeside(
  name: string, ours: Caller, theirs: Caller, frame: Frame, plan: BesidePlan,
): Promise<Beside> {
  const theirBody = makeBody(frame, THEIR_FORM)
  const agreement = compareAnswers(
    foundIn(await ours.answer(theirBody)), foundIn(await theirs.answer(theirBody)))
  const turn = async (caller: Caller, body: RequestBody, level: Level): Promise<Turn> => {
    const { requestsPerSecond, latencies, errors, firstError } = await measureLevel(
      level, () => caller.send(body), { ...plan, stabilityPercentage: ANY })
    if (errors > 0) throw new Error(`${errors} requests failed, the first: ${firstError}`)
    return { requestsPerSecond, latency: summarize(latencies, [50]).percentiles[50] ?? Number.NaN }
  }
  const levels: BesideLevel[] = []
  for (const form of OUR_FORMS) {
    for (const level of plan.levels) {
      const result: BesideLevel = { form, level, ours: [], theirs: [] }
      for (let round = 0; round < ROUNDS; round++) {
        plan.onProgress?.(`${form} beside ${name}`, round, ROUNDS)
        result.ours.push(await turn(ours, makeBody(frame, form), level))
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
