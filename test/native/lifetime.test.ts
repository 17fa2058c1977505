/** Closing, garbage collection, exits and worker threads at the worst moment: a program each, never a crash. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { native, type NativeDetectOptions, type NativeImage, type NativeSessionOptions } from '../../lib/native.js'
import { resolveModel } from '../../lib/models/index.js'
import { runScript, type Outcome } from '../helpers/script.js'
import { street } from '../helpers/pictures.js'
import { libraryUrl } from '../helpers/shared.js'

const detect: NativeDetectOptions = { scoreThreshold: 0.3, iouThreshold: 0.45, maxDetections: 100 }

const picture = join(t.testdir(), 'street.jpg')
writeFileSync(picture, street)

/** A program that has `cars` and `faces` (tasks), `image`, `createTask` and `sleep` at hand. */
function program(body: string): string {
  return `
    import { readFileSync } from 'node:fs'
    import { setTimeout as sleep } from 'node:timers/promises'
    import { createTask } from '${libraryUrl('index.js')}'
    const image = readFileSync(${JSON.stringify(picture)})
    const cars = await createTask('car_detection', { concurrency: 2, threads: 1 })
    const faces = await createTask('face_detection', { threads: 1 })
    ${body}`
}

function clean(t: Test, outcome: Outcome, code: number, stdout: string | RegExp = ''): void {
  t.equal(outcome.signal, null, outcome.stderr.slice(-500))
  t.equal(outcome.code, code)
  t.match(outcome.stdout, stdout)
}

t.test('a session of the addon is closed twice and more while it is busy', async (t) => {
  const { entry, paths } = await resolveModel('yolov8n')
  const options: NativeSessionOptions = {
    modelPaths: paths, family: entry.family, preprocessing: entry.preprocessing, device: { kind: 'cpu', index: 0 },
    fallbackToCpu: false, intraOpThreads: 1, allowSpinning: false, concurrency: 2,
  }
  const image: NativeImage = { kind: 'encoded', data: street }
  for (let round = 0; round < 5; round++) {
    const session = await native.createSession(options)
    const calls = Array.from({ length: 6 }, (_, token) => session.detect(image, detect, token))
    const settled = Promise.allSettled(calls)
    await new Promise((resolve) => setTimeout(resolve, 10 * round))
    await Promise.all([session.close(), session.close(), session.close()])
    for (const outcome of await settled) {
      if (outcome.status === 'rejected') t.match(outcome.reason, { code: 'CLOSED' })
    }
    await session.close()
    await t.rejects(session.detect(image, detect, 99), { code: 'CLOSED' })
    session.cancel(99)
    t.equal(session.pending, 0)
    t.equal(session.provider, 'CPUExecutionProvider')
  }
})

t.test('process.exit() while calls run and wait', async (t) => {
  clean(t, await runScript(program(`
    for (let i = 0; i < 10; i++) { cars.run(image).catch(() => {}); faces.run(image).catch(() => {}) }
    await sleep(30)
    process.exit(7)`)), 7)
})

t.test('an uncaught error while calls run', async (t) => {
  const outcome = await runScript(program(`
    for (let i = 0; i < 10; i++) cars.run(image).catch(() => {})
    setTimeout(() => { throw new Error('on purpose') }, 20)`))
  clean(t, outcome, 1)
  t.match(outcome.stderr, /on purpose/)
})

t.test('process.exit() while models load and close', async (t) => {
  clean(t, await runScript(program(`
    createTask('car_detection').catch(() => {})
    createTask('face_detection').catch(() => {})
    cars.run(image).catch(() => {})
    cars.close()
    await sleep(5)
    process.exit(0)`)), 0)
})

t.test('a program ends by itself when its calls have, closed or not', async (t) => {
  clean(t, await runScript(program(`
    cars.run(image).then(({ objects }) => console.log('cars', objects.length > 0))
    faces.close()`)), 0, /cars true/)
})

t.test('sessions that are forgotten are freed', { timeout: 120_000 }, async (t) => {
  clean(t, await runScript(program(`
    const rss = () => process.memoryUsage.rss() / 2 ** 20
    const forget = async () => {
      for (let i = 0; i < 8; i++) await (await createTask('face_detection', { threads: 1 })).run(image)
      for (let i = 0; i < 10; i++) { globalThis.gc(); await sleep(10) }
    }
    await forget()
    await forget()
    const before = rss()
    for (let round = 0; round < 4; round++) await forget()
    // Kept, they would take more than 400.
    console.log('grown', rss() - before < 150 ? 'little' : rss() - before)`),
  ['--expose-gc'], 110_000), 0, /grown little/)
})

t.test('several worker threads, ended and terminated while busy', { timeout: 120_000 }, async (t) => {
  clean(t, await runScript(`
    import { Worker } from 'node:worker_threads'
    const source = ${JSON.stringify(program(`
      const { parentPort } = await import('node:worker_threads')
      const { objects } = await cars.run(image)
      parentPort.postMessage(objects.length)
      for (;;) await Promise.all([
        cars.run(image), cars.run(image), faces.run(image), faces.run(image),
        createTask('face_detection').then((task) => task.close()),
      ])`))}
    const url = new URL('data:text/javascript,' + encodeURIComponent(source))
    for (let round = 0; round < 3; round++) {
      const workers = Array.from({ length: 3 }, () => new Worker(url))
      const counts = await Promise.all(workers.map((worker) => new Promise((resolve, reject) => {
        worker.once('message', resolve).once('error', reject)
      })))
      await new Promise((resolve) => setTimeout(resolve, 40 * round + 5))
      await Promise.all(workers.map((worker) => worker.terminate()))
      console.log(counts.every((count) => count === counts[0] && count > 0))
    }`, [], 110_000), 0, /true\ntrue\ntrue\n/)
})
