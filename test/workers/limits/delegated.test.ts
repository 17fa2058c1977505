/** Servers in groups that were handed to them, as systemd (Delegate=) and containers do: control groups v2, by root. */
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import type { NodeCapacity } from '../../../lib/host/index.js'
import type { LimitsInEffect } from '../../../lib/workers/limits/index.js'
import { isOneTree, noGroup, TestGroup } from '../../helpers/groups.js'
import { until } from '../../helpers/processes.js'
import { libraryUrl } from '../../helpers/shared.js'

const MEBIBYTE = 2 ** 20
const NOBODY = 65534
// The modules come first: another user may not reach the checkout. A shell waits until it is in its group.
const SERVER = `
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
const { openLimits } = await import('${libraryUrl('workers/limits/index.js')}')
const user = Number(process.argv[1])
if (user > 0) { process.setgroups([]); process.setgid(user); process.setuid(user) }
const backend = await openLimits()
const task = backend.createTaskGroup('task')
const worker = task.createWorkerGroup('worker')
const run = (script) => {
  const child = spawn('sh', ['-c', 'sleep 1; ' + script], { stdio: 'ignore' })
  worker.enter(child.pid)
}
const steps = {
  state: () => ({
    mode: backend.mode, missing: backend.missing, place: readFileSync('/proc/self/cgroup', 'utf8').trim(),
    capacity: backend.capacity, read: task.read(), worker: worker.path, stats: task.stats(),
  }),
  run,
  limit: async (limits) => {
    const { tooLow } = await task.apply(backend.parse(limits))
    return tooLow && { code: tooLow.code, message: tooLow.message, details: tooLow.details }
  },
  cores: async (milliseconds) => {
    const [before, began] = [task.stats().cpuSeconds, performance.now()]
    await sleep(milliseconds)
    return (task.stats().cpuSeconds - before) / (performance.now() - began) * 1000
  },
  write: ([path, text]) => {
    try { return writeFileSync(path, text) } catch ({ code }) { return code }
  },
  close: () => backend.close(),
}
for await (const line of createInterface(process.stdin)) {
  const [name, argument] = JSON.parse(line)
  console.log(JSON.stringify(await steps[name](argument) ?? null))
}
`

interface State {
  mode: string
  missing: Record<string, string>
  place: string
  capacity: NodeCapacity
  read: LimitsInEffect
  worker: string
  stats: { oomKills: number; throttledPeriods: number }
}

/** A server by that user, whose steps are asked for one after the other. */
function startServer(t: Test, prefix: readonly string[], user: number) {
  const [command = '', ...rest] = [...prefix, process.execPath, '--input-type=module', '-e', SERVER, `${user}`]
  const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const ask = async <Answer>(name: string, argument?: unknown): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify([name, argument])}\n`)
    const { value, done } = await lines.next()
    if (done) throw new Error(`The server ended at "${name}"`)
    return JSON.parse(value as string) as Answer
  }
  return { child, ask, state: () => ask<State>('state') }
}

function folders(path: string): string[] {
  return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

const CONTROLLERS = ['cpuset', 'cpu', 'memory']
const noTree = isOneTree ? CONTROLLERS.map(noGroup).find(Boolean) ?? false : 'no control groups of version 2 alone'

t.test('an ordinary user holds limits in a group that was delegated, and moves within what the group has',
  { skip: noTree || (process.getuid?.() !== 0 && 'only root can delegate a group') }, async (t) => {
    const group = new TestGroup(t, 'cpu')
    for (const name of ['', '/cgroup.procs', '/cgroup.threads', '/cgroup.subtree_control']) {
      chownSync(`${group.path}${name}`, NOBODY, NOBODY)
    }
    const { child, ask, state } = startServer(t, group.prefix, NOBODY)
    const { mode, missing, place, capacity: { cores }, worker } = await state()
    const [server, task] = [worker.split('/')[0], worker.replace(/\/worker$/, '')]
    t.strictSame([mode, missing], ['v2', {}])
    const own = `0::/${group.path.split('/').at(-1)}`
    t.equal(place, `${own}/${server}/_server`, 'the server is in its leaf')
    t.strictSame([group.pids, group.read('cgroup.subtree_control')], [[], 'cpuset cpu memory'])
    group.write('memory.max', 256 * MEBIBYTE)
    await ask('run', 'head -c 64000000 /dev/zero | tail -c 64000000 | sleep 600')
    t.ok(await until(() => Number(group.read(`${worker}/memory.current`)) > 64e6))
    const [totalBytes, limitBytes] = [256 * MEBIBYTE, 64 * MEBIBYTE]
    t.match(await ask('limit', { mem_limit: 0.25 }), {
      code: 'LIMIT_TOO_LOW', message: /MiB in use and a margin of 16 MiB, of 256 MiB\) but received 0.25 \(64 MiB\)/,
      details: { totalBytes, limitBytes },
    })
    t.equal(await ask('limit', { mem_limit: 0.5 }), null)
    t.equal(group.read(`${task}/memory.max`), `${128 * MEBIBYTE}`)
    await ask('run', 'head -c 150000000 /dev/zero | tail -c 150000000 | sleep 600')
    t.ok(await until(async () => (await state()).stats.oomKills > 0), 'what takes more is killed')
    t.match((await state()).read, { cpuUtilLimit: 1, memUtilLimit: 0.5 })

    for (let i = 0; i < Math.ceil(cores); i++) await ask('run', 'while :; do :; done')
    await ask('cores', 1500)
    const within = async (limit: number, what: string): Promise<void> => {
      const used = await ask<number>('cores', 3000)
      t.ok(used > 0.01 && used < limit * 1.05, `${used.toFixed(4)} cores used of ${limit}, ${what}`)
    }
    for (const share of [0.5, 0.25]) {
      await ask('limit', { cpu_util_limit: share })
      await within(share * cores, `a share of ${share} of ${cores} cores`)
    }
    t.ok((await state()).stats.throttledPeriods > 0, 'it was throttled')
    t.equal(await ask('write', [`${group.path}/cpu.max`, 'max']), 'EACCES', 'the group\'s own limits are another\'s')

    group.write('cpu.max', '25000 100000')
    await ask('limit', { cpu_util_limit: 1 })
    await within(0.25, 'all that the group has')
    t.match((await state()).capacity, { cores: 0.25 }, 'shares are of what the group has now')
    await ask('limit', { cpu_util_limit: 0.5 })
    t.equal(group.read(`${task}/cpu.max`), '1250 10000')
    await within(0.125, 'half of that')
    t.match((await state()).read, { cpuUtilLimit: 0.5, memUtilLimit: 0.5 })

    group.write('cpu.max', 'max')
    group.write('memory.max', 'max')
    await ask('close')
    t.strictSame([group.pids, folders(group.path), group.read('cgroup.subtree_control')], [[child.pid], [], ''])
    const ended = once(child, 'exit')
    child.stdin.end()
    t.strictSame(await ended, [0, null])
  })

const noUnshare = spawnSync('unshare', ['--cgroup', '--mount', 'true']).status !== 0 && 'no namespaces can be made here'

t.test('in a container\'s namespace the mount is the whole tree', { skip: noTree || noUnshare }, async (t) => {
  const group = new TestGroup(t, 'cpu', { 'cpu.max': '50000 100000' })
  const inside = 'umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
  const namespace = ['unshare', '--cgroup', '--mount', 'sh', '-c', inside, 'sh']
  const { child, ask, state } = startServer(t, [...group.prefix, ...namespace], 0)
  const { mode, missing, place, worker, capacity } = await state()
  const [server, task] = [worker.split('/')[0], worker.replace(/\/worker$/, '')]
  t.strictSame([mode, missing, place], ['v2', {}, `0::/${server}/_server`])
  t.equal(capacity.cores, 0.5, 'the container\'s quota')
  await ask('run', 'while :; do :; done')
  await ask('limit', { cpu_util_limit: 0.5 })
  t.equal(group.read(`${task}/cpu.max`), '2500 10000')
  const used = await ask<number>('cores', 3000)
  t.ok(used > 0.01 && used < 0.25 * 1.05, `${used.toFixed(4)} cores used of 0.25`)
  const ended = once(child, 'exit')
  await ask('close')
  t.match(readFileSync(`/proc/${child.pid}/cgroup`, 'utf8'), `/${group.path.split('/').at(-1)}\n`, 'back in its group')
  t.strictSame([folders(group.path), group.read('cgroup.subtree_control')], [[], ''])
  child.stdin.end()
  t.strictSame(await ended, [0, null])
})
