import t from 'tap'
import { openLimits } from '../../../lib/workers/limits/index.js'
import { FakeMachine } from './fake-cgroup2.js'

const UNIT = '/system.slice/edge-infer.service'
const ALL = ['cpuset', 'cpu', 'memory']
const MEMORY = 8388608 * 1024

t.test('a delegated unit: every write, in order, from the start to the end', async (t) => {
  const files = new FakeMachine({ own: UNIT, controllers: ALL })
  const backend = await openLimits({ files, cpuPeriodMicroseconds: 10_000 })
  const server = backend.serverGroup
  const missing = Object.fromEntries(ALL.map((controller) => [controller, undefined]))
  t.match(backend, { mode: 'v2', available: true, missing })
  t.strictSame(backend.capacity, { cores: 4, memoryBytes: MEMORY, cpus: [0, 1, 2, 3], memoryNodes: [0] })
  t.strictSame(files.takeLog(), [
    `mkdir ${server}`, `mkdir ${server}/_server`, `${server}/_server/cgroup.procs = ${process.pid}`,
    './cgroup.subtree_control = +cpu +cpuset +memory',
  ])

  const task = backend.createTaskGroup('face_detection')
  const worker = task.createWorkerGroup('1')
  const unlimited = worker.read()
  files.run(501, `${UNIT}/${server}/_server`, '2000')
  worker.enter(501)
  t.strictSame(files.takeLog(), [
    `${server}/cgroup.subtree_control = +cpu +cpuset +memory`, `mkdir ${server}/face_detection`,
    `${server}/face_detection/cgroup.subtree_control = +cpu +cpuset +memory`, `mkdir ${server}/face_detection/1`,
    `${server}/face_detection/1/cgroup.procs = 501`,
  ])

  await worker.apply({ cpuUtilLimit: 0.25, memUtilLimit: 0.4, cpuSetCpus: [2, 0, 1], cpuSetMems: [0] })
  const bytes = Math.floor(MEMORY * 0.4)
  t.strictSame(files.takeLog(), [
    `${server}/face_detection/1/cpu.max = 10000 10000`, `${server}/face_detection/1/cpuset.cpus = 0-2`,
    `${server}/face_detection/1/cpuset.mems = 0`, `${server}/face_detection/1/memory.max = ${bytes}`,
    `${server}/face_detection/1/memory.swap.max = 0`,
  ])
  t.strictSame(worker.read(), { ...unlimited, cpuUtilLimit: 0.25, memUtilLimit: 0.4, cpuSetCpus: [0, 1, 2] })

  await task.apply({ cpuUtilLimit: 0.45, memUtilLimit: 0.5, cpuSetCpus: [1] })
  t.strictSame(files.takeLog(), [
    `${server}/face_detection/1/cpu.max = max`, `${server}/face_detection/cpu.max = 18000 10000`,
    `${server}/face_detection/1/cpuset.cpus = 1`, `${server}/face_detection/cpuset.cpus = 1`,
    `${server}/face_detection/1/memory.max = max`, `${server}/face_detection/1/memory.swap.max = max`,
    `${server}/face_detection/memory.max = ${MEMORY / 2}`, `${server}/face_detection/memory.swap.max = 0`,
  ], 'the task limit takes the place of the worker\'s own')
  t.strictSame(worker.read(), { ...unlimited, cpuUtilLimit: 0.45, memUtilLimit: 0.5, cpuSetCpus: [1] })
  const late = task.createWorkerGroup('2')
  t.match(late.read(), { cpuUtilLimit: 0.45, memUtilLimit: 0.5, cpuSetCpus: [1] }, 'holds for a worker added later')
  files.takeLog()
  await task.apply({ cpuUtilLimit: 0.45, memUtilLimit: 0.5, cpuSetCpus: [1] })
  t.strictSame(files.takeLog(), [], 'nothing is written where nothing changes')
  await task.apply({ cpuUtilLimit: 1, memUtilLimit: 1 })
  t.match(task.read(), { cpuUtilLimit: 1, memUtilLimit: 1 })
  t.match(worker.stats(), { cpuSeconds: 0, throttledPeriods: 0, memoryBytes: 0, oomKills: 0 })

  files.takeLog()
  await backend.close()
  t.strictSame(files.takeLog(), [
    `${server}/face_detection/1/cgroup.kill = 1`, `rmdir ${server}/face_detection/1`,
    `rmdir ${server}/face_detection/2`, `rmdir ${server}/face_detection`,
    `${server}/cgroup.subtree_control = -cpuset -cpu -memory`, './cgroup.subtree_control = -cpuset -cpu -memory',
    `./cgroup.procs = ${process.pid}`, `rmdir ${server}/_server`, `rmdir ${server}`,
  ])
  t.notOk(files.startTimes.has(501), 'the worker did not outlive its server')
  t.equal(files.groupOf(process.pid), UNIT)
})

t.test('a refused write undoes those before it; memory in use is refused before anything is written', async (t) => {
  const files = new FakeMachine({ own: UNIT, controllers: ALL })
  const backend = await openLimits({ files, cpuPeriodMicroseconds: 10_000 })
  const worker = backend.createTaskGroup('t').createWorkerGroup('w')
  const path = `${backend.serverGroup}/t/w`
  await worker.apply({ cpuUtilLimit: 0.5, cpuSetCpus: [0, 1], memUtilLimit: 0.5 })
  const before = worker.read()

  files.takeLog()
  files.refusals.set(`${path}/memory.max`, 'EINVAL')
  await t.rejects(worker.apply({ cpuUtilLimit: 0.25, cpuSetCpus: [2], memUtilLimit: 0.75 }), {
    code: 'CGROUP_UNAVAILABLE', message: /memory.max but it answered EINVAL; nothing was changed/,
  })
  t.strictSame(files.takeLog(), [
    `${path}/cpu.max = 10000 10000`, `${path}/cpuset.cpus = 2`,
    `${path}/cpuset.cpus = 0-1`, `${path}/cpu.max = 20000 10000`,
  ])
  t.strictSame(worker.read(), before)

  const unset = backend.createTaskGroup('u').createWorkerGroup('w')
  files.run(504, `${UNIT}/${unset.path}`, '1')
  files.takeLog()
  files.refusals.set(`${unset.path}/memory.max`, 'EINVAL')
  await t.rejects(unset.apply({ cpuSetCpus: [2], memUtilLimit: 0.75 }), { code: 'CGROUP_UNAVAILABLE' })
  t.strictSame(files.takeLog(), [`${unset.path}/cpuset.cpus = 2`, `${unset.path}/cpuset.cpus = 0-3`])

  files.refusals.clear()
  files.charge(path, 1024 * 2 ** 20, 512 * 2 ** 20)
  files.run(502, `${UNIT}/${path}`, '1')
  const low = { memUtilLimit: 0.12 }
  const tooLow = {
    code: 'LIMIT_TOO_LOW', status: 409,
    message: /at least 0.127 \(1024 MiB in use and a margin of 16 MiB, of 8192 MiB\) but received 0.12 \(983 MiB\)/,
    details: { usedBytes: 1024 * 2 ** 20, totalBytes: MEMORY, applied: [] as string[] },
  }
  t.match(await worker.apply(low), { applied: {}, changed: false, tooLow })
  t.strictSame([files.takeLog(), worker.read()], [[], before])
  const others = { cpuUtilLimit: 0.25, cpuSetCpus: [1] }
  tooLow.details.applied = ['cpu_util_limit', 'cpu_set_cpus']
  t.match(await worker.apply({ ...others, ...low }), { applied: others, changed: true, tooLow }, 'the others are set')
  t.strictSame(files.takeLog(), [`${path}/cpu.max = 10000 10000`, `${path}/cpuset.cpus = 1`])
  t.match(await worker.apply({ ...others, ...low }), { applied: others, changed: false, tooLow })
  t.strictSame([files.takeLog(), worker.read()], [[], { ...before, ...others }], 'once')
  await worker.apply({ memUtilLimit: 0.127 })
  t.match([worker.read().memUtilLimit, worker.stats().oomKills], [0.127, 0], 'page cache does not count as in use')
  await backend.close()
})

t.test('a worker gets no more than its task', async (t) => {
  const files = new FakeMachine({ own: UNIT, controllers: ALL })
  const backend = await openLimits({ files })
  const task = backend.createTaskGroup('t')
  const worker = task.createWorkerGroup('w')
  await task.apply({ cpuUtilLimit: 0.5, cpuSetCpus: [0, 1] })
  await t.rejects(worker.apply({ cpuUtilLimit: 0.6 }), {
    code: 'BAD_LIMIT', message: /at most 0.5, the task's own, but received 0.6/,
  })
  await t.rejects(worker.apply({ cpuSetCpus: [1, 2] }), {
    code: 'BAD_LIMIT', message: /\[0,1\], the task's own, but received 2/,
  })
  await worker.apply({ cpuUtilLimit: 0.5 })
  await backend.close()
})

t.test('what is not delegated is said, and undone', async (t) => {
  const shared = new FakeMachine({ own: UNIT, controllers: ALL })
  shared.run(77, UNIT, '5')
  const backend = await openLimits({ files: shared })
  t.match(backend, { mode: 'none', available: false, reason: /other processes \(77\).*Delegate=yes/ })
  t.strictSame([shared.groups(), shared.groupOf(process.pid)], [[], UNIT])
  const worker = backend.createTaskGroup('t').createWorkerGroup('w')
  worker.enter(77)
  t.match(worker.read(), { cpuUtilLimit: 1, memUtilLimit: 1, cpuSetCpus: [0, 1, 2, 3] })
  await t.rejects(worker.apply({ cpuUtilLimit: 0.5 }), { code: 'CGROUP_UNAVAILABLE', message: /Delegate=yes/ })
  await backend.close()

  const readOnly = new FakeMachine({ own: '/docker', controllers: ALL })
  readOnly.refusals.set('mkdir .', 'EROFS')
  t.match(await openLimits({ files: readOnly }), { mode: 'none', reason: /mounted read-only/ })

  const partly = new FakeMachine({ own: UNIT, controllers: ['cpu'] })
  const cpuOnly = await openLimits({ files: partly })
  t.match(cpuOnly, { mode: 'v2', missing: { memory: /not delegated/, cpuset: /not delegated/, cpu: undefined } })
  const limited = cpuOnly.createTaskGroup('t').createWorkerGroup('w')
  partly.run(503, `${UNIT}/${cpuOnly.serverGroup}/_server`, '1')
  limited.enter(503)
  await limited.apply({ cpuUtilLimit: 0.001 })
  t.equal(limited.read().cpuUtilLimit, 0.001, 'a limit below the least quota gets a longer period')
  await t.rejects(limited.apply({ cpuUtilLimit: 0.5, memUtilLimit: 0.5 }), { code: 'CGROUP_UNAVAILABLE' })
  t.equal(limited.read().cpuUtilLimit, 0.001)
  await cpuOnly.close()
})

t.test('the root of the tree hands down without a move, and a container\'s quota is the whole machine', async (t) => {
  const root = new FakeMachine({ own: '', controllers: ALL })
  const backend = await openLimits({ files: root })
  t.equal(root.groupOf(process.pid), '')
  await backend.close()

  const container = new FakeMachine({ own: '/docker', controllers: ALL })
  container.write('/sys/fs/cgroup/docker/cpu.max', '150000 100000')
  container.write('/sys/fs/cgroup/docker/memory.max', `${2 ** 30}`)
  container.write('/sys/fs/cgroup/docker/cpuset.cpus', '1-2')
  const inside = await openLimits({ files: container, cpuPeriodMicroseconds: 10_000 })
  t.strictSame(inside.capacity, {
    cores: 1.5, quotaFile: '/sys/fs/cgroup/docker/cpu.max', memoryBytes: 2 ** 30, cpus: [1, 2], memoryNodes: [0],
  })
  container.takeLog()
  await inside.createTaskGroup('t').apply({ cpuUtilLimit: 0.5 })
  t.equal(container.takeLog().at(-1), `${inside.serverGroup}/t/cpu.max = 7500 10000`)
  await inside.close()
})

t.test('leftovers of a dead server go, with the workers in them; a living server is left alone', async (t) => {
  const files = new FakeMachine({ own: UNIT, controllers: ALL })
  const first = await openLimits({ files })
  const second = await openLimits({ files })
  t.equal(second.serverGroup.includes('/'), false, 'beside the first, not inside its leaf')
  t.strictSame(second.leftovers, { removed: [], stuck: [] })
  await first.close()
  t.ok(files.groups().includes(second.serverGroup), 'the second\'s groups stay when the first closes')

  const dead = 'edge-infer.4026531836.900.42.00ff'
  const reused = `edge-infer.4026531836.${process.pid}.42.00ff`
  const foreign = 'edge-infer.4026539999.900.42.00ff'
  for (const group of [dead, `${dead}/t`, `${dead}/t/w`, reused, foreign]) {
    files.makeDirectory(`/sys/fs/cgroup${UNIT}/${group}`)
  }
  files.run(901, `${UNIT}/${dead}/t/w`, '43')
  const third = await openLimits({ files })
  t.strictSame(third.leftovers, { removed: [dead, reused], stuck: [] }, 'a pid that is used again does not protect')
  t.notOk(files.startTimes.has(901))
  t.ok(files.groups().includes(foreign), 'an owner that cannot be seen may live')
  t.ok(files.startTimes.has(process.pid))
  await third.close()
  await second.close()
})
