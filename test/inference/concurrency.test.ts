/**
 * One process at its worst: calls cancelled at random moments, sessions closed while busy, worker threads that end
 * while calls are under way. Nothing crashes, every answer is right, and nothing is left behind.
 */
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createTask, type Detections, type Detector, type EdgeInferError } from '../../lib/index.js'
import { face } from '../helpers/pictures.js'
import { openDescriptors, until } from '../helpers/processes.js'
import { seededRandom } from '../helpers/random.js'
import { libraryUrl } from '../helpers/shared.js'

const CALLS = 1000
const CALLERS = 8
const CLOSES = 16
const THREAD_ROUNDS = 5
const MEGABYTE = 2 ** 20
/** Of what remains after everything: the allocator keeps pages of threads that have ended. */
const MAX_GROWTH_MB = 200
const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)
const random = seededRandom(seed)

const threads = (): number => readdirSync('/proc/self/task').length
/** A sanitizer keeps what has been freed for a while. */
const isSanitized = /lib[at]san|libclang_rt/.test(readFileSync('/proc/self/maps', 'utf8'))

const options = { concurrency: 2, threads: 1 }
let expected: Detections['objects'] = []

/** Waits for none, one or some turns of the event loop, or for up to `milliseconds`. */
async function someTime(milliseconds: number): Promise<void> {
  const kind = random()
  if (kind < 0.1) return
  if (kind < 0.2) await null
  else if (kind < 0.4) await setImmediate()
  else await sleep(Math.ceil(random() * milliseconds))
}

/** What came of a call, `ok` or a code; a result that is not the right one is `wrong`. */
async function outcomeOf(call: ReturnType<Detector['run']>): Promise<string> {
  try {
    return JSON.stringify((await call).objects) === JSON.stringify(expected) ? 'ok' : 'wrong'
  } catch (error) {
    return (error as EdgeInferError).code
  }
}

function count(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

async function cancelCalls(calls: number): Promise<Record<string, number>> {
  await using faces = await createTask('face_detection', options)
  const outcomes: string[] = []
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    while (outcomes.length < calls) {
      const controller = new AbortController()
      const outcome = outcomeOf(faces.run(face, { signal: controller.signal }))
      await someTime(40)
      controller.abort()
      outcomes.push(await outcome)
    }
  }))
  return count(outcomes)
}

async function closeWhileBusy(rounds: number): Promise<Record<string, number>> {
  const outcomes: string[] = []
  for (let round = 0; round < rounds; round++) {
    const faces = await createTask('face_detection', options)
    const calls = Array.from({ length: 6 }, () => outcomeOf(faces.run(face)))
    await someTime(30)
    await Promise.all([faces.close(), faces.close()])
    outcomes.push(...await Promise.all(calls))
  }
  return count(outcomes)
}

const THREAD = `
  import { readFileSync } from 'node:fs'
  import { setTimeout as sleep } from 'node:timers/promises'
  import { parentPort, workerData } from 'node:worker_threads'
  import { createTask } from '${libraryUrl('index.js')}'
  const { picture, exitAfter } = workerData
  const image = readFileSync(picture)
  const faces = await createTask('face_detection', { concurrency: 2, threads: 1 })
  const { objects } = await faces.run(image)
  parentPort.postMessage(objects)
  if (exitAfter !== undefined) setTimeout(() => process.exit(0), exitAfter)
  const caller = async () => {
    for (;;) {
      const signal = AbortSignal.timeout(1 + Math.floor(Math.random() * 20))
      await Promise.all([faces.run(image, { signal }).catch(() => {}), faces.run(image)])
    }
  }
  await Promise.all([caller(), caller()])`

/** Two threads a round: one is terminated, one exits by itself, both with calls under way. */
async function endThreads(picture: string, rounds: number): Promise<Detections['objects'][]> {
  const url = new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`)
  const answers: Detections['objects'][] = []
  for (let round = 0; round < rounds; round++) {
    const exiting = new Worker(url, { workerData: { picture, exitAfter: Math.floor(random() * 60) } })
    const terminated = new Worker(url, { workerData: { picture } })
    const ended = [once(exiting, 'exit'), once(terminated, 'exit')]
    const first = [once(exiting, 'message'), once(terminated, 'message')] as Promise<[Detections['objects']]>[]
    const messages = await Promise.all(first)
    answers.push(...messages.map(([objects]) => objects))
    await someTime(60)
    await terminated.terminate()
    await Promise.all(ended)
  }
  return answers
}

t.test('cancelled, closed and ended at random moments', { timeout: 280_000 }, async (t) => {
  const picture = join(t.testdir(), 'face.jpg')
  writeFileSync(picture, face)
  await using faces = await createTask('face_detection', options)
  expected = (await faces.run(face)).objects
  t.equal(expected.length, 1)

  // What is made once and kept, such as the threads of the runtime and of libuv, is there afterwards.
  await cancelCalls(50)
  await closeWhileBusy(3)
  await endThreads(picture, 1)
  const base = { descriptors: openDescriptors(), threads: threads(), rss: process.memoryUsage.rss() }

  const cancelled = await cancelCalls(CALLS)
  t.ok((cancelled['ABORTED'] ?? 0) > CALLS / 10 && (cancelled['ok'] ?? 0) > 0, JSON.stringify(cancelled))
  t.strictSame(Object.keys(cancelled).sort(), ['ABORTED', 'ok'])
  const closed = await closeWhileBusy(CLOSES)
  t.ok((closed['CLOSED'] ?? 0) > 0, JSON.stringify(closed))
  t.strictSame(Object.keys(closed).filter((outcome) => !['CLOSED', 'ok'].includes(outcome)), [])
  for (const answer of await endThreads(picture, THREAD_ROUNDS)) t.strictSame(answer, expected)

  t.ok(await until(() => threads() <= base.threads), `${threads()} threads, ${base.threads} before`)
  t.strictSame(openDescriptors(), base.descriptors)
  const grown = (process.memoryUsage.rss() - base.rss) / MEGABYTE
  t.comment(`grown by ${grown.toFixed(1)} MB`)
  if (!isSanitized) t.ok(grown < MAX_GROWTH_MB, `grown by ${grown.toFixed(1)} of ${MAX_GROWTH_MB} MB`)
  t.strictSame((await faces.run(face)).objects, expected, 'the session of the start still answers')
})
