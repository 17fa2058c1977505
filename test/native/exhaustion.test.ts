/** The addon without memory and without threads: promises that reject, never a process that aborts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { native } from '../../lib/native.js'
import { noGroup, TestGroup } from '../helpers/groups.js'
import { street } from '../helpers/pictures.js'
import { runScript } from '../helpers/script.js'
import { libraryUrl } from '../helpers/shared.js'

const directory = t.testdir()
const picture = join(directory, 'street.jpg')
writeFileSync(picture, street)
const side = 6000
const blank = new Uint8Array(side * side)
const raw = { kind: 'raw', data: blank, width: side, height: side, channels: 1, order: 'rgb' } as const
const huge = await Promise.all(['.png', '.jpg', '.webp', '.bmp'].map(async (type) => {
  const path = join(directory, `huge${type}`)
  writeFileSync(path, await native.annotate(raw, [], type))
  return path
}))

const COMMON = `
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createTask, annotate } from '${libraryUrl('index.js')}'
const picture = readFileSync(${JSON.stringify(picture)})
const outcome = (call) => call().then(() => 'done', ({ code, message }) => code + ': ' + message)
const cars = await createTask('car_detection', { threads: 1 })
const expected = (await cars.run(picture)).objects.length
const works = async () => (await cars.run(picture)).objects.length === expected
`

t.test('without address space', async (t) => {
  const { code, signal, stdout, stderr } = await runScript(`${COMMON}
    const limit = (bytes) => spawnSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':unlimited'])
    const huge = ${JSON.stringify(huge)}.map((path) => readFileSync(path))
    const size = Number(/^VmSize:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
    limit(size + 48 * 2 ** 20)
    const outcomes = []
    for (const image of huge) {
      outcomes.push(await outcome(() => annotate(image, { objects: [] })))
      outcomes.push(await outcome(() => cars.run(image, { fullDecode: true })))
    }
    const session = await outcome(() => createTask('car_detection', { threads: 1 }))
    limit('unlimited')
    const later = []
    for (const image of huge) later.push(await outcome(() => cars.run(image)))
    console.log(JSON.stringify({ outcomes, session, works: await works(), later }))`,
  [], 120_000)
  t.strictSame([code, signal], [0, null], stderr.slice(-500))
  const { outcomes, session, works, later } = JSON.parse(stdout || '{}') as
    { outcomes: string[]; session: string; works: boolean; later: string[] }
  t.strictSame(outcomes, Array(8).fill('INTERNAL: Out of memory'), 'no picture is blamed')
  t.equal(session, 'INTERNAL: Out of memory', 'and no model')
  t.strictSame([works, ...later], [true, ...Array(4).fill('done')], 'and all is well again')
})

const NO_THREAD = /^INTERNAL: Thread \d of \d cannot be started: .*pids\.max/

t.test('without threads', { skip: noGroup('pids') }, async (t) => {
  const group = new TestGroup(t, 'pids')
  const { code, signal, stdout, stderr } = await runScript(`${COMMON}
    const current = Number(readFileSync('${group.path}/pids.current', 'utf8'))
    const outcomes = []
    // Three threads for the runtime, four for the calls.
    const options = { threads: 4, concurrency: 4 }
    for (const more of [0, 1, 2, 3, 5]) {
      writeFileSync('${group.path}/pids.max', String(current + more))
      outcomes.push(await outcome(() => createTask('face_detection', options).then((task) => task.close())))
    }
    const meanwhile = [await works(), await outcome(() => annotate(picture, { objects: [] }))]
    writeFileSync('${group.path}/pids.max', 'max')
    const faces = await createTask('face_detection', options)
    console.log(JSON.stringify({ outcomes, meanwhile, later: await outcome(() => faces.run(picture)) }))`,
  [], 120_000, {}, group.prefix)
  t.strictSame([code, signal], [0, null], stderr.slice(-500))
  const { outcomes = [], meanwhile, later } = JSON.parse(stdout || '{}') as
    { outcomes?: string[]; meanwhile?: unknown[]; later?: string }
  t.equal(outcomes.length, 5)
  for (const outcome of outcomes) t.match(outcome, NO_THREAD)
  t.strictSame(meanwhile, [true, 'done'], 'what has its threads works')
  t.equal(later, 'done', 'and all is well again')
})

t.test('an addon that is loaded without threads', { skip: noGroup('pids') }, async (t) => {
  const group = new TestGroup(t, 'pids')
  const { code, stdout, stderr } = await runScript(`
    import { readFileSync, writeFileSync } from 'node:fs'
    import { stat } from 'node:fs/promises'
    import { loadRuntime } from '${libraryUrl('index.js')}'
    await stat('.') // Node.js starts its own threads, or aborts.
    const attempt = () => {
      try {
        loadRuntime()
        return 'done'
      } catch ({ code, message }) {
        return code + ': ' + message
      }
    }
    const current = Number(readFileSync('${group.path}/pids.current', 'utf8'))
    const outcomes = [0, 1].map((more) => {
      writeFileSync('${group.path}/pids.max', String(current + more))
      return attempt()
    })
    writeFileSync('${group.path}/pids.max', 'max')
    console.log(JSON.stringify([...outcomes, attempt()]))`, [], 60_000, {}, group.prefix)
  t.equal(code, 0, stderr.slice(-500))
  const [first, second, later] = JSON.parse(stdout || '[]') as string[]
  t.match(first, NO_THREAD)
  t.match(second, NO_THREAD)
  t.equal(later, 'done')
})
