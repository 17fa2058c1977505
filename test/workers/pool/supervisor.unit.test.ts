/** Workers start, die, hang and are replaced, in virtual time and without processes. */
import t from 'tap'
import { EdgeInferError } from '../../../lib/errors.js'
import { classifyDeath, type PoolWorker } from '../../../lib/workers/pool/pool-worker.js'
import { QueuedJob } from '../../../lib/workers/pool/queue.js'
import { Supervisor } from '../../../lib/workers/pool/supervisor.js'
import { recordingLog } from '../helpers.js'
import { job, settled, VirtualClock, VirtualGroup, VirtualProcess } from './virtual.js'

const STUCK_AFTER_MS = 1000
const options = { model: 'virtual' }

function make() {
  const clock = new VirtualClock()
  const { log, lines } = recordingLog()
  const [processes, groups, ready] = [[] as VirtualProcess[], [] as VirtualGroup[], [] as PoolWorker[]]
  const state = { needed: true, counted: [] as number[], freeBytes: Infinity, failures: [] as number[] }
  const supervisor = new Supervisor({
    task: 'face_detection',
    stuckAfterMs: STUCK_AFTER_MS,
    log,
    clock,
    createGroup: () => {
      groups.push(new VirtualGroup())
      return groups.at(-1) as VirtualGroup
    },
    startProcess: () => {
      processes.push(new VirtualProcess())
      return processes.at(-1) as VirtualProcess
    },
    threadsFor: (_options, _limit, workers) => {
      state.counted.push(workers)
      return 1
    },
    isNeeded: () => state.needed,
    requireMemory: (bytes) => {
      if (bytes > state.freeBytes) throw new EdgeInferError('LIMIT_TOO_LOW', `${bytes} of ${state.freeBytes}`)
    },
    onReplacementFailed: (_error, failures) => state.failures.push(failures),
    onReady: (worker) => ready.push(worker),
  })
  /** The newest process has loaded its model. */
  const load = async (): Promise<void> => {
    await settled()
    processes.at(-1)?.load()
    await settled()
  }
  const add = async (): Promise<{ worker: PoolWorker; process: VirtualProcess; group: VirtualGroup }> => {
    const added = supervisor.add(options)
    await load()
    return { worker: await added, process: processes.at(-1) as VirtualProcess, group: groups.at(-1) as VirtualGroup }
  }
  const messages = (): string[] => lines.map(({ msg }) => msg)
  return { supervisor, clock, processes, groups, ready, state, load, add, messages }
}

t.test('a worker starts, is ready, and ends when the supervisor is closed', async (t) => {
  const { supervisor, processes, groups, ready, state } = make()
  const added = supervisor.add(options)
  await settled()
  t.equal(supervisor.workers[0]?.state, 'starting')
  t.strictSame([supervisor.ready.length, supervisor.active], [0, 1])
  processes[0]?.load()
  const worker = await added
  t.strictSame([worker.state, supervisor.active, ready], ['ready', 1, [worker]])
  const starting = supervisor.add(options)
  await settled()
  t.strictSame(state.counted, [1, 2], 'the one that starts counts among those that share the cores')
  const closed = supervisor.close()
  t.strictSame(processes.map(({ calls }) => calls), [['stop'], ['kill']])
  await t.rejects(starting, { code: 'WORKER_DIED' })
  processes[0]?.end(0)
  await closed
  t.ok(groups.every(({ removed }) => removed))
  t.strictSame([supervisor.workers, supervisor.restartCount], [[], 0])
  await t.rejects(supervisor.add(options), { code: 'CLOSED' })
})

t.test('a ready worker that dies is replaced under its limits: at once where it was healthy, else later', async (t) => {
  const { supervisor, clock, processes, groups, load, add, messages } = make()
  const { worker, process } = await add()
  worker.assign(new QueuedJob(job), () => {})
  process.answer()
  await settled()
  process.end('SIGSEGV')
  await load()
  t.match(messages()[0], /^worker was ended by SIGSEGV; replacing it$/)
  t.strictSame([processes.length, supervisor.ready.length, groups[1]?.inherited], [2, 1, { cpuUtilLimit: 0.5 }])

  for (const delay of [100, 200]) {
    processes.at(-1)?.end(3)
    await clock.advance(delay - 1)
    const before = processes.length
    t.strictSame([supervisor.replacing, supervisor.ready.length], [1, 0])
    await clock.advance(1)
    await load()
    t.equal(processes.length, before + 1, `after ${delay} ms`)
  }
  await clock.advance(60_000)
  processes.at(-1)?.end(3)
  await load()
  t.equal(supervisor.ready.length, 1, 'one that was ready for a minute was healthy, without any request')
  t.strictSame([...supervisor.restarts], [['SIGSEGV', 1], ['exit 3', 3]])
})

t.test('a replacement is tried less and less often, at most every half minute, until one comes up', async (t) => {
  const { supervisor, clock, processes, load, add } = make()
  await add()
  processes[0]?.end(1)
  const starts: number[] = []
  for (let known = 1; starts.length < 12;) {
    await clock.advance(10)
    if (processes.length === known) continue
    known = processes.length
    starts.push(clock.now())
    processes.at(-1)?.failLoading(new EdgeInferError('MODEL_UNAVAILABLE', 'no model'))
    processes.at(-1)?.end('SIGKILL')
  }
  const delays = starts.slice(1).map((at, index) => at - (starts[index] as number))
  t.match(delays.slice(0, 3).map((delay) => Math.round(delay / 100) * 100), [100, 200, 400])
  t.ok(delays.at(-1) as number >= 29_900 && delays.at(-1) as number <= 30_100)
  await clock.advance(30_000)
  await load()
  t.strictSame([supervisor.ready.length, supervisor.replacing, supervisor.restartCount], [1, 0, 1])
})

t.test('a limit of the task ends what a replacement would have had of its own', async (t) => {
  const { supervisor, clock, processes, groups, add, load } = make()
  await add()
  processes[0]?.end(1)
  await load()
  processes[1]?.end(1)
  await settled()
  t.equal(supervisor.replacing, 1)
  supervisor.taskLimited({ cpuUtilLimit: 0.3 })
  await clock.advance(100)
  t.strictSame(groups[2]?.inherited, {})
})

t.test('nothing is replaced once no worker is needed; a close ends the wait for a replacement', async (t) => {
  const { supervisor, clock, processes, state, add, load } = make()
  await add()
  processes[0]?.end(1)
  await load()
  processes[1]?.end(1)
  await settled()
  t.equal(clock.timers, 1, 'it waits')
  state.needed = false
  await supervisor.close()
  t.strictSame([clock.timers, processes.length], [0, 2])
})

t.test('of the configured workers, one that others kill while it starts is started again', async (t) => {
  const { supervisor, clock, processes, groups, messages, load } = make()
  const started = supervisor.addAll(1, options)
  await settled()
  processes[0]?.end('SIGKILL')
  await settled()
  processes[1]?.end('SIGKILL')
  await clock.advance(100)
  await load()
  await started
  t.strictSame([processes.length, supervisor.ready.length, supervisor.restartCount], [3, 1, 0])
  t.match(messages()[1], /was ended by SIGKILL while it started; starting another in 100 ms/)

  const added = supervisor.add(options)
  await settled()
  processes.at(-1)?.end('SIGKILL')
  await t.rejects(added, { code: 'WORKER_DIED' }, 'who asked for one more is told')

  const outOfMemory = t.rejects(supervisor.addAll(1, options), { code: 'WORKER_DIED' }, 'memory will not do next time')
  await settled()
  Object.assign(groups.at(-1) as VirtualGroup, { oomKills: 1 })
  processes.at(-1)?.end('SIGKILL')
  await outOfMemory
  await t.rejects(Promise.all([supervisor.addAll(1, options), settled().then(() => {
    processes.at(-1)?.failLoading(new EdgeInferError('MODEL_UNAVAILABLE', 'no model'))
    processes.at(-1)?.kill()
  })]), { code: 'MODEL_UNAVAILABLE' })
})

t.test('where one of the configured workers comes up, the others are tried until they do', async (t) => {
  const { supervisor, clock, processes, load } = make()
  const started = supervisor.addAll(2, options)
  await settled()
  processes[0]?.load()
  processes[1]?.end(1)
  await started
  await clock.advance(100)
  await load()
  t.equal(supervisor.ready.length, 2)
})

t.test('a configured worker that never started is cancelled without a pid', async (t) => {
  const { supervisor, processes } = make()
  const started = supervisor.addAll(2, options)
  await settled()
  processes[0]?.load()
  processes[1]?.failLoading(new EdgeInferError('MODEL_LOAD', 'broken'))
  processes[1]?.end(1)
  await started
  t.strictSame([supervisor.ready.length, supervisor.replacing], [1, 1])
  const cancelled = supervisor.cancelReplacement()
  await settled()
  processes[2]?.failLoading(new EdgeInferError('MODEL_LOAD', 'broken'))
  processes[2]?.end(1)
  t.equal(await cancelled, undefined)
  t.equal(supervisor.replacing, 0)
})

t.test('one that starts, or has a job, and uses no CPU time is killed', async (t) => {
  const { supervisor, clock, processes, messages, add } = make()
  const starting = t.rejects(supervisor.add(options), { code: 'WORKER_DIED' })
  await clock.advance(2 * STUCK_AFTER_MS)
  await starting
  t.match(messages()[0], /did nothing for 1000 ms: killing it/)

  const { worker } = await add()
  await clock.advance(5 * STUCK_AFTER_MS)
  t.equal(worker.state, 'ready', 'an idle one need not do anything')
  worker.assign(new QueuedJob(job), () => {})
  await clock.advance(2 * STUCK_AFTER_MS)
  t.strictSame([worker.state, (await worker.death).crashedOnJob], ['dead', true])
  t.strictSame(processes[1]?.calls, ['kill'])
})

t.test('one still running a cancelled job is killed; one that has ended it is left alone', async (t) => {
  const { clock, add, messages } = make()
  const { worker, process } = await add()
  const jobs = [new QueuedJob(job), new QueuedJob(job)] as const
  for (const queued of jobs) worker.assign(queued, () => {})
  jobs[0].cancelAtWorker?.()
  process.answer()
  await settled()
  t.equal(worker.assigned, 1)
  jobs[1].cancelAtWorker?.()
  t.strictSame(process.calls, ['cancel', 'cancel'])
  process.answer()
  await clock.advance(20 * STUCK_AFTER_MS)
  t.equal(worker.state, 'ready')
  t.strictSame(messages(), [])
})

t.test('a draining worker ends its jobs; it is killed when it has none and does not end', async (t) => {
  const { supervisor, clock, add, messages } = make()
  const { worker, process } = await add()
  worker.assign(new QueuedJob(job), () => {})
  worker.drain()
  await clock.advance(STUCK_AFTER_MS / 2)
  t.strictSame([process.calls, supervisor.ready], [['stop'], []])
  process.answer()
  await clock.advance(4999)
  t.equal(worker.state, 'draining')
  await clock.advance(1)
  t.equal(worker.state, 'dead')
  t.match(messages()[0], /has no request but has not ended 5000 ms after it was asked to: killing it/)
  t.strictSame([supervisor.workers, supervisor.restartCount, clock.timers], [[], 0, 0])
})

t.test('the jobs of a worker that died come back with what it died of', async (t) => {
  const { add } = make()
  const { worker, process, group } = await add()
  const outcomes: unknown[] = []
  for (const queued of [new QueuedJob(job), new QueuedJob(job)]) worker.assign(queued, (end) => outcomes.push(end))
  group.oomKills = 1
  process.end('SIGKILL')
  await settled()
  t.match(outcomes, [
    { wasRunning: true, death: { cause: 'out of memory', crashedOnJob: true, oomKills: 1 } },
    { wasRunning: false, death: { cause: 'out of memory' } },
  ])
})

const MARGIN = 16 * 2 ** 20

t.test('a worker is not started where there is less memory than one like it uses', async (t) => {
  const { supervisor, processes, groups, state, add, load } = make()
  await add()
  Object.assign(groups[0] as object, { used: 100 })
  state.freeBytes = 99 + MARGIN
  await t.rejects(supervisor.add(options), { code: 'LIMIT_TOO_LOW', message: `${100 + MARGIN} of ${99 + MARGIN}` })
  t.strictSame([processes.length, supervisor.ready.length, supervisor.active], [1, 1, 1])
  const other = supervisor.add({ model: 'another' })
  await load()
  await other
  t.equal(processes.length, 2, 'what another model needs is not known')
  state.freeBytes = 100 + MARGIN
  await add()
  t.equal(supervisor.ready.length, 3)
})

t.test('nor where one had too little to start', async (t) => {
  const { supervisor, processes, groups, state, add } = make()
  state.freeBytes = 100
  const first = supervisor.add(options)
  await settled()
  Object.assign(groups[0] as object, { oomKills: 1, memoryPeakBytes: 90 })
  processes[0]?.end('SIGKILL')
  await t.rejects(first, { code: 'LIMIT_TOO_LOW', message: `${90 + MARGIN} of 100` })
  await t.rejects(supervisor.add(options), { code: 'LIMIT_TOO_LOW' })
  t.equal(processes.length, 1)
  state.freeBytes = 90 + MARGIN
  await add()
})

t.test('a replacement waits for memory and kills nothing; it can be cancelled, whatever it does', async (t) => {
  const { supervisor, clock, processes, groups, state, add, load, messages } = make()
  await add()
  const { worker: gone, process } = await add()
  for (const group of groups) group.used = 100
  state.freeBytes = 0
  process.end('SIGKILL')
  await clock.advance(5000)
  t.ok(messages().some((text) => /could not be replaced; trying again in 400 ms/.test(text)))
  t.strictSame(state.failures.slice(0, 4), [1, 2, 3, 4])
  t.strictSame([processes.length, supervisor.replacing, supervisor.ready.length], [2, 1, 1])
  t.equal(await supervisor.cancelReplacement(), gone.process.pid)
  t.strictSame([supervisor.replacing, clock.timers], [0, 0])

  state.freeBytes = Infinity
  processes[0]?.end('SIGSEGV')
  while (processes.length < 3) await clock.advance(100)
  const cancelled = supervisor.cancelReplacement()
  await load()
  t.strictSame(processes[2]?.calls, ['stop'], 'and is ended as soon as it has')
  processes[2]?.end(0)
  await cancelled
  t.strictSame([supervisor.replacing, supervisor.workers.length], [0, 0])
})

t.test('what a worker died of', async (t) => {
  const death = (how: NodeJS.Signals | number, oomKills: number | undefined, killedAsStuck = false) => {
    const signal = typeof how === 'string' ? how : null
    const end = { code: signal ? null : how as number, signal, stderr: '' }
    const { cause, crashedOnJob } = classifyDeath(end, oomKills, killedAsStuck, true)
    return [cause, crashedOnJob]
  }
  t.strictSame(death('SIGKILL', 0), ['SIGKILL', false], 'others killed it')
  t.strictSame(death('SIGKILL', undefined), ['SIGKILL', true], 'it may have been the kernel, for want of memory')
  t.strictSame(death('SIGKILL', 1), ['out of memory', true])
  t.strictSame(death('SIGKILL', 0, true), ['SIGKILL', true], 'stuck')
  t.strictSame(death('SIGSEGV', 0), ['SIGSEGV', true])
  t.strictSame(death(1, 0), ['exit 1', true])
})
