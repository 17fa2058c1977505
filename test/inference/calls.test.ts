/** Calls never block the event loop, can be aborted at any time, and end when the task is closed. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { EdgeInferError } from '../../lib/index.js'
import { createTask, type Detections, type Detector } from '../../lib/index.js'
import { shared, sharedImage, useSharedModels } from '../helpers/shared.js'

const codeOf = (outcome: PromiseSettledResult<unknown>): string =>
  outcome.status === 'fulfilled' ? 'ok' : (outcome.reason as EdgeInferError).code

function count(outcomes: readonly PromiseSettledResult<unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const code of outcomes.map(codeOf)) counts[code] = (counts[code] ?? 0) + 1
  return counts
}

/** A generator of numbers in [0, 1) that is the same each time. */
function seeded(seed: number): () => number {
  let state = seed
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296
}

if (!shared.present) {
  t.pass(`calls were not tried: ${shared.why}`)
} else {
  useSharedModels()
  const image = sharedImage('demo/street.jpg')

  t.test('eight YOLOv8n runs at once leave the event loop free', async (t) => {
    await using cars = await createTask('car_detection', { concurrency: 8, threads: 1 })
    await cars.run(image)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    await sleep(20)
    let results: Detections[] = []
    const longest: number[] = []
    for (let round = 0; round < 6; round++) {
      delay.reset()
      delay.enable()
      results = await Promise.all(Array.from({ length: 8 }, () => cars.run(image)))
      delay.disable()
      longest.push(delay.max / 1e6)
    }
    t.comment(`longest gap of each round: ${longest.map((gap) => gap.toFixed(1)).join(', ')} ms`)
    // A machine busy with other things delays some rounds; a call that blocks would delay every one by a run.
    t.ok(Math.min(...longest) < 50)
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
    await sleep(25)
    t.equal(cars.model.pending, 3)
    waiting.abort()
    running.abort()
    await t.rejects(first, { code: 'ABORTED' })
    await t.rejects(second, { code: 'ABORTED' })
    t.ok((await third).objects.length > 0, 'the next one is not stopped')
    t.equal(cars.model.pending, 0)
    t.strictSame((await cars.run(image)).objects, (await third).objects)

    const took: number[] = []
    for (let round = 0; round < 6; round++) {
      const controller = new AbortController()
      const call = cars.run(image, { signal: controller.signal })
      await sleep(30)
      const start = performance.now()
      controller.abort()
      await t.rejects(call, { code: 'ABORTED' })
      took.push(performance.now() - start)
    }
    t.comment(`running calls ended after ${took.map((time) => time.toFixed(1)).join(', ')} ms`)
    t.ok(Math.min(...took) < 20, 'a running call stops soon')
  })

  t.test('aborts at 200 random moments stop their own call only', { timeout: 120_000 }, async (t) => {
    await using faces = await createTask('face_detection', { concurrency: 2, threads: 1 })
    const random = seeded(5)
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
    const calls = Array.from({ length: 4 }, () => cars.run(image))
    const settled = Promise.allSettled(calls)
    await sleep(25)
    const closed = cars.close()
    t.equal(cars.close(), closed, 'closing twice is closing once')
    await closed
    t.strictSame(count(await settled), { ok: 1, CLOSED: 3 })
    await t.rejects(cars.run(image), { code: 'CLOSED' })
    t.equal(cars.model.pending, 0)
    t.equal(cars.model.inputs[0]?.name, 'images', 'what it says of itself stays')
  })

  t.test('many sessions at once', { timeout: 120_000 }, async (t) => {
    const tasks: Detector[] = await Promise.all(Array.from({ length: 12 }, (_, index) =>
      createTask(index % 3 === 0 ? 'helmet_detection' : 'face_detection', { threads: 1 })))
    const outcomes = await Promise.all(tasks.map((task) => task.run(image)))
    const faces = outcomes.filter((_, index) => index % 3 !== 0).map(({ objects }) => objects)
    for (const other of faces) t.strictSame(other, faces[0])
    await Promise.all(tasks.map((task) => task.close()))
  })
}
