/** What the pool promises about its queue, its deadlines and who gets which job. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { readProcess } from '../../../lib/host/index.js'
import type { JobRun } from '../../../lib/workers/index.js'
import { bitmap, encoded, face, jobOf, Load, noLimits, people, start, until } from '../helpers.js'

t.test('jobs go to the worker that finishes them first, and a slow one has its part', { skip: noLimits }, async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 2 } }, threads: 1 })
  const [slow, fast] = service.workers().map(({ pid }) => pid) as [number, number]
  await service.limitProcess(slow, 'face_detection', { cpu_util_limit: 0.02 })
  const load = new Load(24, () => service.run('face_detection', jobOf(face)))
  let most = 0
  t.ok(await until(() => {
    most = Math.max(most, service.workers().reduce((sum, { taskToDo }) => sum + taskToDo, 0))
    return load.done > 300 && (load.byPid.get(slow) ?? 0) > 0
  }))
  const [bySlow = 0, byFast = 0] = [load.byPid.get(slow), load.byPid.get(fast)]
  await load.stop()
  t.strictSame(load.errors, [])
  t.ok(byFast > bySlow, `${byFast} by the fast one, ${bySlow} by the slow one`)
  t.equal(most, 24, 'what is reported as to do is what the clients wait for')
  t.strictSame(service.workers().map(({ taskToDo }) => taskToDo), [0, 0])

  await service.limitProcess(slow, 'face_detection', { cpu_util_limit: 1 })
  const equal = new Load(24, () => service.run('face_detection', jobOf(face)))
  const share = (): number => (equal.byPid.get(slow) ?? 0) / equal.done
  t.ok(await until(() => equal.done > 100 && share() > 0.4), 'once its limit is gone it does as much as the other')
  await equal.stop()
})

t.test('the queue is bounded, and a place is free as soon as its job is cancelled', async (t) => {
  const { service } = await start(t, { tasks: { car_detection: { workers: 1 } }, queueSize: 5 })
  const toDo = (): number | undefined => service.workers()[0]?.taskToDo
  const post = (signal?: AbortSignal): Promise<JobRun> => service.run('car_detection', jobOf(people), { signal })
  const controllers = Array.from({ length: 5 }, () => new AbortController())
  const posted = controllers.map(({ signal }) => post(signal).then(() => 'done', ({ code }: { code: string }) => code))
  const full = await post().catch((error: unknown) => error)
  t.match(full, { code: 'QUEUE_FULL', status: 503, message: /5 requests of at most 5/ })
  const { retryAfterSeconds } = (full as { details: { retryAfterSeconds: number } }).details
  t.ok(Number.isInteger(retryAfterSeconds) && retryAfterSeconds >= 1)
  t.equal(toDo(), 5)

  for (const index of [4, 3]) controllers[index]?.abort()
  t.equal(toDo(), 3, 'two that waited were cancelled')
  controllers[1]?.abort()
  t.ok(await until(() => toDo() === 2), 'so was one assigned to the worker, behind the one it runs')
  const late = post()
  await t.rejects(post(AbortSignal.abort()), { code: 'ABORTED' }, 'cancelled before it was posted')
  t.strictSame(await Promise.all(posted), ['done', 'ABORTED', 'done', 'ABORTED', 'ABORTED'])
  await late
  t.equal(toDo(), 0)
})

t.test('a deadline is kept while waiting and while running; its place is free when the work has ended',
  async (t) => {
    const { service } = await start(t, { tasks: { car_detection: { workers: 1 } } })
    const pid = service.workers()[0]?.pid as number
    const toDo = (): number | undefined => service.workers()[0]?.taskToDo
    const long = { images: Array.from({ length: 60 }, () => encoded(people)) }
    const running = t.rejects(service.run('car_detection', long, { timeoutMs: 700 }), { code: 'TIMEOUT', status: 504 })
    const waiting = Array.from({ length: 3 }, () => service.run('car_detection', jobOf(people), { timeoutMs: 150 }))
    for (const job of waiting) await t.rejects(job, { code: 'TIMEOUT', message: /150 ms/ })
    t.ok(await until(() => toDo() === 1), 'only the running one is left')
    await running
    t.equal(toDo(), 1, 'its place is taken')
    t.ok(await until(() => toDo() === 0))
    const before = readProcess(pid)?.cpuSeconds as number
    await sleep(300)
    t.ok((readProcess(pid)?.cpuSeconds as number) - before < 0.1, 'nothing of it is left running')

    const controller = new AbortController()
    const huge = service.run('car_detection', jobOf(bitmap(7000, 7000)), { signal: controller.signal })
    await sleep(60)
    controller.abort()
    await t.rejects(huge, { code: 'ABORTED' })
    t.equal(toDo(), 1, 'decoding cannot be stopped: its place stays taken')
    const { items: [item] } = await service.run('car_detection', jobOf(people))
    t.equal(item?.width, 1280, 'and the next job is done after it')
  })

t.test('what is wrong with one picture harms no other', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const good = await service.run('face_detection', jobOf(people))
  const bad = [Buffer.alloc(0), Buffer.from('no picture'), people.subarray(0, 3000), bitmap(8000, 8000).subarray(0, 60)]
  const answers = await Promise.all(Array.from({ length: 80 }, async (_, index) => {
    const broken = bad[index % 8]
    const run = service.run('face_detection', jobOf(broken ?? people))
    const answer = run.then(({ items }) => isDeepStrictEqual(items, good.items) ? 'right' : 'other')
    return answer.catch(({ code }: { code: string }) => code)
  }))
  const counts = answers.reduce((sum, answer) => sum.set(answer, (sum.get(answer) ?? 0) + 1), new Map<string, number>())
  t.strictSame(Object.fromEntries(counts), { BAD_IMAGE: 30, TOO_LARGE: 10, right: 40 })
  t.equal(service.workers()[0]?.restarts, 0)
})

t.test('a worker whose last job was long is not taken for a slow one', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const short = () => service.run('face_detection', jobOf(people))
  const long = service.run('face_detection', { images: Array.from({ length: 40 }, () => encoded(people)) })
  for (let i = 0; i < 5; i++) await short()
  await long
  const pids = (await Promise.all([short(), short()])).map(({ pid }) => pid)
  t.equal(new Set(pids).size, 2, 'two requests at once are run by two workers')
})
