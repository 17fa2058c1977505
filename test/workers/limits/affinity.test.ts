/** A server that was started on some of the CPUs (taskset): used and allowed are shares of the same cores. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { readCapacity, type DeviceState, type NodeCapacity } from '../../../lib/host/index.js'
import { openLimits } from '../../../lib/workers/limits/index.js'
import { FakeMachine } from './fake-cgroup2.js'

const LIBRARY = new URL('../../../lib/', import.meta.url).href
const SERVER = `
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
const { createSampler } = await import('${LIBRARY}host/index.js')
const { openLimits } = await import('${LIBRARY}workers/limits/index.js')
const sampler = createSampler({ searchPath: '', intervalMs: 1e9 })
const limits = await openLimits()
await limits.preferOverOthers()
const task = limits.createTaskGroup('task')
const worker = task.createWorkerGroup('worker')
const busy = spawn(process.execPath, ['-e', 'setTimeout(() => { for (;;); }, 200)'])
worker.enter(busy.pid)
if (limits.available) await task.apply({ cpuUtilLimit: 0.5 })
await sleep(500)
sampler.watch(busy.pid)
const before = worker.stats().cpuSeconds
const began = performance.now()
await sleep(2000)
const state = sampler.sampleNow()
const cores = (worker.stats().cpuSeconds - before) / (performance.now() - began) * 1000
const allowed = /^Cpus_allowed_list:\\s*(\\S+)/m.exec(readFileSync('/proc/' + busy.pid + '/status', 'utf8'))[1]
console.log(JSON.stringify({
  state, cores, allowed, capacities: [limits.capacity, sampler.capacity()],
  percent: sampler.process(busy.pid).cpuPercent, read: worker.read(), available: limits.available,
}))
busy.kill('SIGKILL')
await limits.close()
`

interface Answer {
  state: DeviceState
  /** Cores the worker used, by its group's account. */
  cores: number
  allowed: string
  capacities: NodeCapacity[]
  percent: number
  read: { cpuUtilLimit: number; cpuSetCpus: number[] }
  available: boolean
}

const { cpus } = readCapacity()
const noTaskset = spawnSync('taskset', ['--version']).error
const skip = noTaskset ? 'taskset (util-linux) is not here' : cpus.length < 2 && 'this process has one CPU'

t.test('on one core of several a limit of 0.5 is half a core, and all figures are of that core', { skip },
  async (t) => {
    const cpu = cpus.at(-1) as number
    const arguments_ = ['-c', String(cpu), process.execPath, '--input-type=module', '-e', SERVER]
    const { stdout, stderr } = spawnSync('taskset', arguments_, { encoding: 'utf8' })
    const answer = JSON.parse(stdout || JSON.stringify(stderr)) as Answer
    const [allowed, used] = answer.capacities
    t.match(allowed, { cores: 1, cpus: [cpu] })
    t.strictSame(used, allowed, 'what is used and what is allowed are shares of the same')
    t.match(answer.state, { n_cpu: 1, cpu_ratio: { length: 1 } })
    t.equal(answer.allowed, `${cpu}`, 'a worker in a control group stays on the core of its server')
    const skip = answer.available ? false : 'no control group can be written'
    await t.test('a limit is a share of what is allowed', { skip }, async (t) => {
      t.match(answer.read, {
        cpuUtilLimit: 0.5, memUtilLimit: 1, cpuSetCpus: [cpu], cpuSetMems: allowed?.memoryNodes,
      })
      t.ok(answer.cores > 0.005 && answer.cores < 0.55, `${answer.cores} cores used under a limit of half of one`)
      t.ok(Math.abs(answer.percent / 100 - answer.cores) < 0.1, `the sampler says ${answer.percent} %`)
    })
  })

t.test('the server\'s group is kept to the CPUs the server was started on', async (t) => {
  const files = new FakeMachine({ own: '/unit', controllers: ['cpuset', 'cpu', 'memory'], affinity: '1-2' })
  const backend = await openLimits({ files, cpuPeriodMicroseconds: 10_000 })
  t.match(backend.capacity, { cores: 2, cpus: [1, 2] })
  t.equal(files.takeLog().at(-1), `${backend.serverGroup}/cpuset.cpus = 1-2`)
  const task = backend.createTaskGroup('t')
  await task.apply({ cpuUtilLimit: 0.5 })
  t.equal(files.takeLog().at(-1), `${backend.serverGroup}/t/cpu.max = 10000 10000`)
  t.match(task.read(), { cpuUtilLimit: 0.5, cpuSetCpus: [1, 2] })
  t.throws(() => backend.parse({ cpu_set_cpus: [0] }), {
    code: 'BAD_LIMIT', message: /one of 1, 2 for cpu_set_cpus\[0\]/,
  })

  files.write('/sys/fs/cgroup/unit/cpu.max', '50000 100000')
  const half = backend.parse({ cpu_util_limit: 0.5 })
  t.match(backend.capacity, { cores: 0.5, cpus: [1, 2] }, 'what the server may use has changed')
  await task.apply(half)
  t.equal(files.takeLog().at(-1), `${backend.serverGroup}/t/cpu.max = 2500 10000`)
  t.equal(task.read().cpuUtilLimit, 0.5)
  await backend.close()

  const container = new FakeMachine({ own: '/docker', controllers: ['cpuset', 'cpu', 'memory'], affinity: '0-2' })
  container.write('/sys/fs/cgroup/docker/cpuset.cpus', '2-3')
  container.write('/sys/fs/cgroup/docker/cpu.max', '50000 100000')
  t.match(readCapacity(container), { cores: 0.5, cpus: [2] }, 'affinity, cpuset and quota together')
})
