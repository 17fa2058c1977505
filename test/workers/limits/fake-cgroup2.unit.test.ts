/** The fake tree is worth as much as it resembles the kernel's: the same steps on both, the same answers. */
import t from 'tap'
import { readCapacity } from '../../../lib/host/index.js'
import { locateGroups } from '../../../lib/host/cgroup/location.js'
import { errnoOf, HostFiles } from '../../../lib/host/host-files.js'
import { FakeMachine } from './fake-cgroup2.js'
import { TestProcess } from './busy.js'

const kernelFiles = new HostFiles()
const REAL = locateGroups(kernelFiles).v2
const free = REAL ? kernelFiles.read(`${REAL.mountPoint}/cgroup.controllers`).split(' ') : []
const domain = free.find((name) => ['memory', 'hugetlb'].includes(name))

const EXPECTED = [
  'ok', 'EEXIST', 'ok', '', 'EINVAL', 'ENOENT', 'ok', 'domain',
  'ok', 'ok', 'EBUSY', 'EBUSY', 'ok', 'EBUSY', 'ok', 'ok', 'EBUSY',
  'ok', 'ENOENT', 'ESRCH', 'EINVAL', 'ERANGE or EINVAL', 'ok', 'ok', 'ok', 'ENOENT',
]
const noTree = REAL && domain ? false : 'no v2 tree with a memory or hugetlb controller is mounted here'

t.test('the fake answers as the kernel is known to', async (t) => {
  await using child = new TestProcess('process.stdin.resume(); process.stdin.on("end", () => process.exit())')
  const fake = new FakeMachine({ own: '', controllers: [domain ?? 'hugetlb'] })
  fake.run(child.pid, '', '1')
  t.strictSame(answers(fake, fake.mount, domain ?? 'hugetlb', child.pid), EXPECTED)
})

t.test('the kernel answers so', { skip: noTree }, async (t) => {
  await using child = new TestProcess('process.stdin.resume(); process.stdin.on("end", () => process.exit())')
  t.strictSame(answers(kernelFiles, REAL?.mountPoint ?? '', domain ?? '', child.pid), EXPECTED)
})

/** Each write or read, by its file in a group `top` or in `top/inner`, and its answer: `ok`, a text or an errno. */
const VALUES: readonly (readonly [write: string, answer: string])[] = [
  ['top/cpu.max', 'max 100000'], ['top/cpu.max = 5000 10000', 'ok'], ['top/cpu.max', '5000 10000'],
  ['top/cpu.max = max', 'ok'], ['top/cpu.max', 'max 10000'], ['top/cpu.max = 20000', 'ok'],
  ['top/cpu.max', '20000 10000'], ['inner/cpu.max = 30000 10000', 'ok'], ['inner/cpu.max', '30000 10000'],
  ['top/cpu.max = 999 10000', 'EINVAL'], ['top/cpu.max = 5000 999', 'EINVAL'],
  ['top/cpu.max = 5000 1000001', 'EINVAL'], ['top/cpu.max = x', 'EINVAL'], ['top/cpu.max', '20000 10000'],
  ['top/cpu.weight', '100'], ['top/cpu.weight = 10000', 'ok'], ['top/cpu.weight = 10001', 'ERANGE'],
  ['top/cpu.weight = 0', 'ERANGE'], ['top/cpu.weight', '10000'],
  ['top/cpuset.cpus', ''], ['top/cpuset.mems', ''], ['top/cpuset.cpus = x', 'EINVAL'],
  ['top/cpuset.cpus = 9999', 'ERANGE'], ['top/cpuset.mems = 63', 'EINVAL'], ['top/cpuset.cpus = 0', 'ok'],
  ['top/cpuset.cpus', '0'], ['inner/cpuset.cpus.effective', '0'], ['inner/cpuset.cpus', ''],
  ['inner/cpuset.cpus = 1', 'ok'], ['inner/cpuset.cpus.effective', '0'], ['inner/cpuset.cpus = 0-1', 'ok'],
  ['inner/cpuset.cpus', '0-1'], ['inner/cpuset.cpus.effective', '0'], ['top/cpuset.cpus = 0,1', 'ok'],
  ['top/cpuset.cpus', '0-1'], ['inner/cpuset.cpus.effective', '0-1'], ['top/cpuset.cpus = ', 'ok'],
  ['inner/cpuset.mems.effective', '0'], ['inner/cpuset.mems = 0', 'ok'],
  ['inner/cpuset.cpus.effective = 0', 'EINVAL'],
  // With a process inside, a set cannot be emptied again, nor that of a group above.
  ['inner/cgroup.procs = PID', 'ok'], ['top/cpuset.cpus = ', 'ok'], ['top/cpuset.cpus = 0-1', 'ok'],
  ['top/cpuset.cpus = ', 'ENOSPC'], ['inner/cpuset.cpus = ', 'ENOSPC'], ['inner/cpuset.mems = ', 'ENOSPC'],
  ['inner/cpuset.cpus = 1', 'ok'], ['inner/cpuset.cpus.effective', '1'], ['../cgroup.procs = PID', 'ok'],
  ['inner/cpuset.cpus = ', 'ok'], ['top/cpuset.cpus = ', 'ok'], ['inner/cpuset.cpus = 1', 'ok'],
  ['top/memory.max', 'max'], ['top/memory.max = 1048577', 'ok'], ['top/memory.max', '1048576'],
  ['top/memory.max = x', 'EINVAL'], ['top/memory.max = -1', 'EINVAL'], ['top/memory.max = max', 'ok'],
  ['top/memory.max', 'max'], ['top/memory.swap.max', 'max'], ['top/memory.swap.max = 0', 'ok'],
  ['top/memory.swap.max', '0'], ['top/memory.current = 0', 'EINVAL'],
  ['top/cgroup.kill', 'EINVAL'], ['top/cgroup.events', 'populated 0\nfrozen 0'],
  // A controller taken back takes its values with it.
  ['inner/memory.max = 1048576', 'ok'], ['top/cgroup.subtree_control = -memory -cpuset', 'ok'],
  ['inner/memory.max', 'ENOENT'], ['inner/cpuset.cpus', 'ENOENT'],
  ['top/cgroup.subtree_control = +memory +cpuset', 'ok'], ['inner/memory.max', 'max'], ['inner/cpuset.cpus', ''],
]
const LIMITING = ['cpuset', 'cpu', 'memory']
const noLimiting = REAL && LIMITING.every((name) => free.includes(name)) && readCapacity().cpus.length > 1
  ? false
  : 'no v2 tree with the controllers of limits, on two CPUs, is mounted here'

t.test('the fake takes and refuses the values of limits as the kernel is known to', async (t) => {
  await using child = new TestProcess('process.stdin.resume(); process.stdin.on("end", () => process.exit())')
  const fake = new FakeMachine({ own: '', controllers: LIMITING, cpus: '0-1' })
  fake.run(child.pid, '', '1')
  t.strictSame(valueAnswers(fake, fake.mount, child.pid), VALUES)
})

t.test('the kernel takes and refuses them so', { skip: noLimiting }, async (t) => {
  await using child = new TestProcess('process.stdin.resume(); process.stdin.on("end", () => process.exit())')
  t.strictSame(valueAnswers(kernelFiles, REAL?.mountPoint ?? '', child.pid), VALUES)
})

function valueAnswers(files: HostFiles, mount: string, pid: number): [string, string][] {
  const top = `${mount}/edge-infer-fake-${process.pid}`
  const enable = LIMITING.map((name) => `+${name}`).join(' ')
  files.write(`${mount}/cgroup.subtree_control`, enable)
  files.makeDirectory(top)
  files.write(`${top}/cgroup.subtree_control`, enable)
  files.makeDirectory(`${top}/inner`)
  try {
    return VALUES.map(([step]) => {
      const [name = '', value] = step.split(' = ')
      const path = name.startsWith('inner/') ? `${top}/${name}` : name.replace(/^top/, top).replace(/^\.\./, mount)
      return [step, answerOf(() => {
        if (value === undefined) return files.read(path)
        files.write(path, `${value.replace('PID', `${pid}`)}\n`)
      })]
    })
  } finally {
    files.removeDirectory(`${top}/inner`)
    files.removeDirectory(top)
  }
}

function answerOf(action: () => string | void): string {
  try {
    return action() ?? 'ok'
  } catch (error) {
    return errnoOf(error)
  }
}

function answers(files: HostFiles, mount: string, controller: string, pid: number): string[] {
  const handedDown = files.read(`${mount}/cgroup.subtree_control`).split(' ').includes(controller)
  const top = `${mount}/edge-infer-fake-${process.pid}`
  const inner = `${top}/inner`
  const step = answerOf
  const write = (path: string, text: string) => step(() => files.write(path, text))
  try {
    return [
      step(() => files.makeDirectory(top)),
      step(() => files.makeDirectory(top)),
      step(() => files.makeDirectory(inner)),
      step(() => files.read(`${top}/cgroup.subtree_control`)),
      write(`${top}/cgroup.subtree_control`, '+nonsense'),
      write(`${inner}/cgroup.subtree_control`, '+cpu'),
      write(`${mount}/cgroup.subtree_control`, `+${controller}`),
      step(() => files.read(`${top}/cgroup.type`)),
      // A group with a process hands nothing down; one that hands something down takes no process.
      write(`${top}/cgroup.procs`, `${pid}`),
      step(() => files.read(`${top}/cgroup.procs`) === `${pid}` ? 'ok' : 'not inside'),
      write(`${top}/cgroup.subtree_control`, `+${controller}`),
      step(() => files.removeDirectory(top)),
      write(`${inner}/cgroup.procs`, `${pid}`),
      step(() => files.removeDirectory(inner)),
      write(`${top}/cgroup.subtree_control`, `+${controller}`),
      step(() => files.read(`${inner}/cgroup.controllers`).includes(controller) ? 'ok' : 'not handed down'),
      write(`${top}/cgroup.procs`, `${pid}`),
      write(`${top}/cgroup.subtree_control`, `-${controller}`),
      write(`${top}/rdma.max`, 'max'),
      write(`${inner}/cgroup.procs`, '99999999'),
      write(`${inner}/cgroup.controllers`, 'x'),
      write(`${inner}/cgroup.kill`, '2').replace(/^(ERANGE|EINVAL)$/, 'ERANGE or EINVAL'),
      write(`${mount}/cgroup.procs`, `${pid}`),
      step(() => files.removeDirectory(inner)),
      step(() => files.removeDirectory(top)),
      step(() => files.removeDirectory(top)),
    ]
  } finally {
    if (!handedDown) files.write(`${mount}/cgroup.subtree_control`, `-${controller}`)
  }
}
