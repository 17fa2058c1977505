/** The queue by itself: order, capacity, cancelled jobs, deadlines, jobs that come back. */
import t from 'tap'
import type { JobRun } from '../../../lib/workers/index.js'
import { JobQueue, type QueuedJob } from '../../../lib/workers/pool/queue.js'
import { job, VirtualClock } from './virtual.js'

function make(size = 2): { queue: JobQueue; clock: VirtualClock; add(options?: object): QueuedJob } {
  const clock = new VirtualClock()
  const queue = new JobQueue('face_detection', size, clock)
  return { queue, clock, add: (options = {}) => queue.add(job, options, 1, 700) }
}

t.test('a place is taken until the job is answered, and a full queue says when to come again', async (t) => {
  const { queue, add } = make()
  const [first] = [add(), add()]
  t.throws(() => add(), {
    code: 'QUEUE_FULL',
    message: /^All 1 workers of face_detection have full queues \(2 requests of at most 2\)$/,
    details: { retryAfterSeconds: 2 },
  })
  t.equal(queue.assign(0), first)
  t.strictSame([queue.waiting, queue.pending], [1, 2])
  t.throws(() => add(), { code: 'QUEUE_FULL' }, 'an assigned job has its place still')
  first.finish({ pid: 7 } as JobRun)
  queue.release(first)
  t.equal((await first.outcome).pid, 7)
  add()
  t.throws(() => queue.assign(2), { message: /below 2 but received 2/ })
})

t.test('a job that is cancelled while it waits leaves; one at a worker is cancelled there', async (t) => {
  const { queue, add } = make(3)
  const [a, b, c] = [new AbortController(), new AbortController(), new AbortController()]
  const jobs = [a, b, c].map(({ signal }) => add({ signal }))
  const cancelled: string[] = []
  const assigned = queue.assign(0)
  assigned.cancelAtWorker = () => cancelled.push('at the worker')
  b.abort()
  t.strictSame([queue.waiting, queue.pending], [1, 2])
  a.abort()
  t.strictSame([queue.waiting, queue.pending, cancelled], [1, 2, ['at the worker']])
  for (const cancelledJob of jobs.slice(0, 2)) await t.rejects(cancelledJob.outcome, { code: 'ABORTED' })
  queue.requeue(assigned)
  t.strictSame([queue.waiting, queue.pending], [1, 1], 'nobody waits for it: it is not run again')
  t.equal(queue.assign(0), jobs[2])

  const late = add({ signal: AbortSignal.abort() })
  await t.rejects(late.outcome, { code: 'ABORTED' })
  t.equal(queue.waiting, 0)
})

t.test('a deadline ends the wait, and no timer outlives its job', async (t) => {
  const { queue, clock, add } = make()
  const [short, long] = [add({ timeoutMs: 100 }), add({ timeoutMs: 1000 })]
  const refused = t.rejects(short.outcome, { code: 'TIMEOUT', message: /within its 100 ms/ })
  await clock.advance(99)
  t.notOk(short.settled)
  await clock.advance(1)
  await refused
  t.equal(queue.assign(0), long)
  long.finish({ pid: 1 } as JobRun)
  t.equal(clock.timers, 0)
})

t.test('a job whose worker died takes its place again, before those that came later', async (t) => {
  const { queue, add } = make(4)
  const jobs = [add(), add(), add(), add()]
  const [first, second] = [queue.assign(0), queue.assign(0)]
  queue.requeue(second)
  queue.requeue(first)
  t.strictSame([0, 1, 2, 3].map(() => jobs.indexOf(queue.assign(0))), [0, 1, 2, 3])
})

t.test('the queue is empty once the last assigned job has ended', async (t) => {
  const { queue, add } = make(3)
  await queue.empty()
  const [assigned, waiting] = [add(), add()]
  queue.assign(0)
  let empty = false
  const done = queue.empty().then(() => { empty = true })
  const closed = Object.assign(new Error('closed'), { code: 'CLOSED' }) as never
  queue.rejectWaiting(closed)
  await t.rejects(waiting.outcome, { code: 'CLOSED' })
  t.notOk(empty, 'one is assigned still')
  queue.release(assigned)
  await done
  t.ok(empty)
})
