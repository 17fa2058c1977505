/** Calls never block the event loop, can be aborted at any time, and end when the task is closed. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { EdgeInferError } from '../../lib/index.js'
import { createTask, type Detections, type Detector } from '../../lib/index.js'
import { useConstantHelmets } from '../helpers/models.js'
import { people as image } from '../helpers/pictures.js'
import { seededRandom } from '../helpers/random.js'

const codeOf = (outcome: PromiseSettledResult<unknown>): string =>
  outcome.status === 'fulfilled' ? 'ok' : (outcome.reason as EdgeInferError).code

t.test('eight YOLOv8n runs at once leave the event loop free', async (t) => {
  await using cars = await createTask('car_detection', { concurrency: 8, threads: 1 })
  let [results, turns]: [Detections[], number] = [[], 0]
  const counter = setInterval(() => { turns += 1 })
  for (let round = 0; round < 6; round++) {
    results = await Promise.all(Array.from({ length: 8 }, () => cars.run(image)))
  }
  clearInterval(counter)
  // Were the calls to block, the loop would turn a few times a call.
  t.ok(turns > 6 * 8 * 2, `the event loop turned ${turns} times in 48 runs`)
  const [first, ...others] = results.map(({ objects }) => objects)
  for (const other of others) t.strictSame(other, first, 'every run gives the same')
})

t.test('a call is aborted before it starts, while it waits, and while it runs', async (t) => {
  await using cars = await createTask('car_detection')
  const reason = new Error('enough')
  await t.rejects(cars.run(image, { signal: AbortSignal.abort(reason) }), { code: 'ABORTED', cause: reason })

  const [running, waiting] = [new AbortController(), new AbortController()]
  const first = cars.run(image, { signal: running.signal })
  const second = cars.run(image, { signal: waiting.signal })
  const third = cars.run(image)
  while (cars.model.pending < 3) await setImmediate()
  waiting.abort()
  running.abort()
  await t.rejects(first, { code: 'ABORTED' })
  await t.rejects(second, { code: 'ABORTED' })
  t.ok((await third).objects.length > 0, 'the next one is not stopped')
  t.equal(cars.model.pending, 0)
  t.strictSame((await cars.run(image)).objects, (await third).objects)
})

t.test('a running call stops long before its end when it is aborted', { timeout: 120_000 }, async (t) => {
  await using cars = await createTask('car_detection', { threads: 1 })
  const run = async (abortAfter: number): Promise<number> => {
    const [controller, began] = [new AbortController(), performance.now()]
    const call = cars.run(image, { signal: controller.signal })
    if (abortAfter === Infinity) return call.then(() => performance.now() - began)
    await sleep(abortAfter)
    controller.abort()
    await t.rejects(call, { code: 'ABORTED' })
    return performance.now() - began
  }
  const whole = Math.min(await run(Infinity), await run(Infinity), await run(Infinity))
  const aborted: number[] = []
  // A busy machine delays some of them.
  for (let round = 0; round < 50 && !(Math.min(...aborted) < whole * 0.8); round++) aborted.push(await run(whole / 10))
  t.ok(Math.min(...aborted) < whole * 0.8, `${Math.min(...aborted).toFixed(1)} of ${whole.toFixed(1)} ms`)
})

t.test('aborts at 200 random moments stop their own call only', { timeout: 120_000 }, async (t) => {
  await using faces = await createTask('face_detection', { concurrency: 2, threads: 1 })
  const random = seededRandom(5)
  const expected = (await faces.run(image)).objects
  const typical = 12
  let [aborted, whole] = [0, 0]
  for (let round = 0; round < 200; round++) {
    const controller = new AbortController()
    const doomed = faces.run(image, { signal: controller.signal })
    const beside = faces.run(image)
    const after = random() * typical
    const until = performance.now() + after
    await sleep(Math.floor(after))
    while (performance.now() < until) await null
    controller.abort()
    const [first, second] = await Promise.allSettled([doomed, beside])
    if (codeOf(first) === 'ABORTED') aborted++
    else if (codeOf(first) === 'ok') whole++
    else t.fail(codeOf(first))
    if (second.status !== 'fulfilled') t.fail(`the call beside it: ${codeOf(second)}`)
    else if (second.value.objects.length !== expected.length) t.fail('the call beside it found something else')
  }
  t.ok(aborted > 20, `${aborted} aborted, ${whole} were done before`)
  t.strictSame((await faces.run(image)).objects, expected)
})

t.test('closing waits for what runs and rejects what waits', async (t) => {
  const cars = await createTask('car_detection')
  const calls = Array.from({ length: 20 }, () => cars.run(image))
  const settled = Promise.allSettled(calls)
  await calls[0]
  const closed = cars.close()
  t.equal(cars.close(), closed, 'closing twice is closing once')
  await closed
  t.match((await settled).map(codeOf).join(' '), /^(ok )+(CLOSED ?)+$/)
  await t.rejects(cars.run(image), { code: 'CLOSED' })
  t.equal(cars.model.pending, 0)
  t.equal(cars.model.inputs[0]?.name, 'images', 'what it says of itself stays')
})

t.test('many sessions at once', { timeout: 120_000 }, async (t) => {
  useConstantHelmets(t)
  const tasks: Detector[] = await Promise.all(Array.from({ length: 12 }, (_, index) =>
    createTask(index % 3 === 0 ? 'helmet_detection' : 'face_detection', { threads: 1 })))
  const outcomes = await Promise.all(tasks.map((task) => task.run(image)))
  const faces = outcomes.filter((_, index) => index % 3 !== 0).map(({ objects }) => objects)
  for (const other of faces) t.strictSame(other, faces[0])
  await Promise.all(tasks.map((task) => task.close()))
})
