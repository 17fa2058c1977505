/** The fake tree is worth as much as it resembles the kernel's: the same steps on both, the same answers. */
import t from 'tap'
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
  'ok', 'ENOENT', 'ESRCH', 'EACCES', 'ERANGE or EINVAL', 'ok', 'ok', 'ok', 'ENOENT',
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

function answers(files: HostFiles, mount: string, controller: string, pid: number): string[] {
  const handedDown = files.read(`${mount}/cgroup.subtree_control`).split(' ').includes(controller)
  const top = `${mount}/edge-infer-fake-${process.pid}`
  const inner = `${top}/inner`
  const step = (action: () => unknown): string => {
    try {
      const answer = action()
      return typeof answer === 'string' ? answer : 'ok'
    } catch (error) {
      return errnoOf(error)
    }
  }
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
      write(`${top}/cpu.max`, 'max'),
      write(`${inner}/cgroup.procs`, '99999999'),
      write(`${inner}/cgroup.controllers`, 'x').replace('EINVAL', 'EACCES'),
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
