/** A parent's CPU quota that is lowered while the server runs: the log and the slow answers name it. */
import t from 'tap'
import { openLimits } from '../../../lib/workers/limits/index.js'
import { CapacityWatch } from '../../../lib/workers/capacity-watch.js'
import { serveInProcess } from '../../cli/serve-process.js'
import { noGroup, TestGroup } from '../../helpers/groups.js'
import { people } from '../../helpers/pictures.js'
import { get, post } from '../../http/server.js'
import { recordingLog, until } from '../helpers.js'
import { FakeMachine } from './fake-cgroup2.js'

t.test('version 2: each change is said once, with the file of the ancestor that holds it down', async (t) => {
  const files = new FakeMachine({ own: '/pod/container', controllers: ['cpuset', 'cpu', 'memory'] })
  files.write('/sys/fs/cgroup/pod/cpu.max', '300000 100000')
  const backend = await openLimits({ files })
  t.match(backend.capacity, { cores: 3, quotaFile: '/sys/fs/cgroup/pod/cpu.max' })
  const { log, lines } = recordingLog()
  const watch = new CapacityWatch({ atStart: backend.capacity, read: () => backend.readCapacity(), log })
  t.teardown(() => watch.close())
  const said = (): unknown[] => {
    watch.check()
    watch.check()
    return lines.splice(0).map(({ level, msg }) => [level, msg])
  }
  t.strictSame(said(), [])
  files.write('/sys/fs/cgroup/pod/container/cpu.max', '50000 100000')
  const now = 'this node has 0.5 cores now (the quota in /sys/fs/cgroup/pod/container/cpu.max)'
  t.strictSame(said(), [[40, `its CPU was lowered: answers take longer. ${now}`]])
  t.equal(watch.lessCpu, `${now} and had 3 cores when its workers started`)
  files.write('/sys/fs/cgroup/pod/container/cpu.max', 'max')
  t.match(said(), [[30, /was raised: this node has 3 cores now \(the quota in \/sys\/fs\/cgroup\/pod\/cpu.max\)/]])
  t.equal(watch.lessCpu, undefined)
  files.write('/sys/fs/cgroup/pod/cpu.max', 'max')
  t.match(said(), [[30, /was raised: this node has 4 cores now \(its CPUs are 0, 1, 2, 3\)/]])
  files.write('/sys/fs/cgroup/pod/cpu.max', '350000 100000')
  t.match(said(), [[40, /3.5 cores now/]])
  t.equal(watch.lessCpu, undefined, 'more than it started with')
  await backend.close()
})

const skip = noGroup('cpu')

t.test('a served node says so, and names it where callers wait for too long', { skip }, async (t) => {
  const group = new TestGroup(t, 'cpu')
  const server = await serveInProcess(t, ['--task', 'face_detection=1'], { prefix: group.prefix })
  const file = group.file('cpu.cfs_quota_us')
  const lessCpu = async (): Promise<unknown> => (await get(`${server.url}/healthz`)).body.less_cpu
  const slow = (): ReturnType<typeof post> =>
    post(`${server.url}/execute_task/face_detection?timeout_ms=1`, people, { 'content-type': 'image/jpeg' })
  t.equal(await lessCpu(), undefined)
  const asEver = { code: 'TIMEOUT', message: /^The request was not answered within [^;]+ ms$/ }
  t.match((await slow()).body, { error: asEver })

  group.write('cpu.cfs_quota_us', 50_000)
  t.ok(await until(async () => await lessCpu() !== undefined), 'noticed')
  const cause = /this node has 0\.5 cores now \(the quota in (\S+)\) and had [\d.]+ cores? when its workers started/
  t.equal(cause.exec(String(await lessCpu()))?.[1], file)
  const { status, body } = await slow()
  t.match([status, body.error], [504, { code: 'TIMEOUT', message: cause }])
  group.write('cpu.cfs_quota_us', -1)
  t.ok(await until(async () => await lessCpu() === undefined), 'noticed again')
  const { stdout: log } = await server.stop()
  t.strictSame(log.match(/its CPU was \w+/g), ['its CPU was lowered', 'its CPU was raised'], 'each said once')
  t.match(log, new RegExp(`CPU was lowered.*${file}`))
})
