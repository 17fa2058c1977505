/** Out of descriptors, or of processes: an error says so, the others serve on, and all is well again afterwards. */
import t from 'tap'
import { face, jobOf, openDescriptors, start, until } from '../helpers.js'
import { isOneTree, noGroup, TestGroup } from '../../helpers/groups.js'
import { runScript } from '../../helpers/script.js'
import { libraryUrl } from '../../helpers/shared.js'

const WORKERS = `
import { closeSync, openSync, readdirSync } from 'node:fs'
import { startWorkers } from '${libraryUrl('workers/index.js')}'
const log = { info() {}, warn() {}, error() {} }
const service = await startWorkers({ tasks: { face_detection: { workers: 1 } }, download: false, log })
const open = () => readdirSync('/proc/self/fd').length
const answers = []
for (let attempt = 0; attempt < 8; attempt++) {
  const held = []
  try { for (;;) held.push(openSync('/dev/null')) } catch {}
  for (let spare = 0; spare < 2 * attempt; spare++) closeSync(held.pop())
  const answer = await service.add('face_detection').catch((error) => error)
  for (const descriptor of held) closeSync(descriptor)
  answers.push([answer.code, answer.message])
}
const before = open()
const { pid } = await service.add('face_detection')
await service.decrease('face_detection')
const { pid: first } = service.workers()[0]
process.kill(first, 'SIGKILL')
const replaced = () => service.workers().some(({ pid }) => pid !== first)
while (!replaced()) await new Promise((resolve) => setTimeout(resolve, 50))
console.log(JSON.stringify({ answers, added: pid > 0, lost: open() - before }))
await service.close()
`

t.test('out of descriptors', async (t) => {
  // Node.js itself raises the soft limit to the hard one.
  const { code, stdout, stderr } = await runScript(WORKERS, [], 120_000, {}, ['prlimit', '--nofile=512:512'])
  t.equal(code, 0, stderr)
  const { answers, added, lost } = JSON.parse(stdout) as { answers: [string, string][]; added: boolean; lost: number }
  for (const [code, message] of answers) {
    t.match([code, message], ['WORKER_DIED', /^No worker process could be started: .*EMFILE.*ulimit -n/])
  }
  t.match({ added, lost }, { added: true, lost: 0 })
})

const noPids = noGroup('pids') || (isOneTree && 'a worker leaves the group for its own')

t.test('out of processes', { skip: noPids }, async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 1 } } })
  const group = new TestGroup(t, 'pids')
  group.enter(process.pid)
  t.teardown(() => group.leave(process.pid))
  const before = openDescriptors()
  const threads = Number(group.read('pids.current'))
  for (const more of [0, 1, 6, 10]) {
    group.write('pids.max', threads + more)
    const error = await service.add('face_detection').catch((error: unknown) => error)
    // How far a worker comes is a matter of how many threads Node.js starts: it dies, or says what its model lacks.
    t.match(error, /ended (by SIG|with exit code)|could be started|Thread \d of \d cannot be started/, `${more} more`)
    await service.run('face_detection', jobOf(face))
  }
  group.write('pids.max', 'max')
  t.ok(await until(() => openDescriptors().length === before.length))
  await service.add('face_detection')
  t.equal(service.workers().length, 2)
})
