/** Threads of a worker, by options, limits and time alone. */
import t from 'tap'
import { ThreadPolicy, type ThreadedWorker } from '../../../lib/workers/pool/thread-policy.js'
import { VirtualClock } from './virtual.js'

const options = {}

t.test('as many threads as the options or the default say, and no more than the CPU share feeds', async (t) => {
  const policy = new ThreadPolicy(1, { cores: () => 8, defaultThreads: 4, clock: new VirtualClock() })
  t.equal(policy.threads(options, 1, 2), 4)
  t.equal(policy.threads({ threads: 6 }, 1, 2), 6)
  t.equal(policy.threads({ threads: 6 }, 0.25, 2), 2, 'two cores of eight')
  t.equal(policy.threads(options, 0.26, 2), 3, 'a part of a core counts as one')
  t.equal(policy.threads(options, 0.25 + 1e-12, 2), 2, 'an inexact quarter does not')
  t.equal(policy.threads(options, 0.001, 2), 1)
  policy.taskShare = 0.5
  t.equal(policy.threads(options, 1, 2), 2, 'four cores between two workers')
  t.equal(policy.threads(options, 1, 4), 1)
  t.equal(policy.threads(options, 1, 0), 4, 'no worker yet: the first will have it all')
  t.equal(policy.threads(options, 0.125, 2), 1, 'its own limit is lower')
})

t.test('threads follow once nothing has changed for half a second', async (t) => {
  const clock = new VirtualClock()
  const policy = new ThreadPolicy(1, { cores: () => 4, defaultThreads: 4, clock })
  const changes: number[] = []
  const limits = { cpuUtilLimit: 0.5, memUtilLimit: 1 }
  const worker: ThreadedWorker = { taskOptions: options, limits, threads: 4, setThreads: (n) => changes.push(n) }
  const steady: ThreadedWorker = { ...worker, threads: 2, setThreads: () => t.fail('it has them already') }
  const settle = (): void => policy.settle(() => ({ ready: [worker, steady], workers: 2 }))
  settle()
  await clock.advance(400)
  settle()
  await clock.advance(499)
  t.strictSame(changes, [])
  limits.cpuUtilLimit = 0.5
  await clock.advance(1)
  t.strictSame(changes, [2])
  settle()
  policy.close()
  settle()
  await clock.advance(1000)
  t.strictSame(changes, [2], 'nothing changes after the close')
  t.equal(clock.timers, 0)
})
