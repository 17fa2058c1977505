/** Memory stays where it is: thousands of runs, hundreds of sessions, hundreds of errors. */
import t, { type Test } from 'tap'
import { createTask } from '../../lib/index.js'
import { face as small } from '../helpers/pictures.js'

const MEGABYTE = 2 ** 20
const rss = (): number => process.memoryUsage.rss() / MEGABYTE

/** How many MB the process has grown by from a third of the way to the end. */
async function growth(rounds: number, work: (round: number) => Promise<unknown>): Promise<number> {
  let settled = 0
  for (let round = 0; round < rounds; round++) {
    if (round === Math.floor(rounds / 3)) settled = rss()
    await work(round)
  }
  return rss() - settled
}

const check = async (t: Test, name: string, limit: number, grown: Promise<number>): Promise<void> => {
  const megabytes = await grown
  t.ok(megabytes < limit, `${name} grow by ${megabytes.toFixed(1)} of ${limit} MB`)
}

t.test('2,000 runs of face detection with crops', { timeout: 240_000 }, async (t) => {
  await using faces = await createTask('face_detection')
  await check(t, '2,000 runs', 40, growth(2000, () => faces.run(small, { crops: true })))
})

t.test('200 runs of YOLOv8n, two at a time', { timeout: 240_000 }, async (t) => {
  await using cars = await createTask('car_detection', { concurrency: 2, threads: 1 })
  await check(t, '200 runs', 40, growth(100, () => Promise.all([cars.run(small), cars.run(small)])))
})

t.test('300 sessions made and closed', { timeout: 240_000 }, async (t) => {
  await check(t, '300 sessions', 60, growth(300, async () => {
    const faces = await createTask('face_detection', { threads: 1 })
    await faces.close()
  }))
})

t.test('errors of every kind, 1,000 of them', { timeout: 240_000 }, async (t) => {
  await using faces = await createTask('face_detection')
  const broken = [
    small.subarray(0, 9000), Buffer.from('none'), { kind: 'json' as const, data: Buffer.from('[[[1,2,3],[4]]]') },
  ]
  await check(t, '1,000 errors', 30, growth(1000, async (round) => {
    const controller = new AbortController()
    const call = faces.run(broken[round % 4] ?? small, { signal: controller.signal })
    if (round % 4 === 3) controller.abort()
    await call.then(() => t.fail('no error'), () => undefined)
  }))
})
