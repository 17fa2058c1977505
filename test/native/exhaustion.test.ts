/** The addon without memory: promises that reject, never a process that aborts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { native } from '../../lib/native.js'
import { street } from '../helpers/pictures.js'
import { runScript } from '../helpers/script.js'
import { libraryUrl } from '../helpers/shared.js'

const directory = t.testdir()
const [picture, huge] = [join(directory, 'street.jpg'), join(directory, 'huge.png')]
writeFileSync(picture, street)
const side = 6000
const blank = new Uint8Array(side * side)
const raw = { kind: 'raw', data: blank, width: side, height: side, channels: 1, order: 'rgb' } as const
writeFileSync(huge, await native.annotate(raw, [], '.png'))

const COMMON = `
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createTask, annotate } from '${libraryUrl('index.js')}'
const picture = readFileSync(${JSON.stringify(picture)})
const huge = readFileSync(${JSON.stringify(huge)})
const outcome = (call) => call().then(() => 'done', ({ code, message }) => code + ': ' + message)
const cars = await createTask('car_detection', { threads: 1 })
const expected = (await cars.run(picture)).objects.length
const works = async () => (await cars.run(picture)).objects.length === expected
`

t.test('without address space', async (t) => {
  const { code, signal, stdout, stderr } = await runScript(`${COMMON}
    const limit = (bytes) => spawnSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':unlimited'])
    const size = Number(/^VmSize:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
    limit(size + 48 * 2 ** 20)
    const outcomes = []
    for (let round = 0; round < 3; round++) {
      outcomes.push(await outcome(() => annotate(huge, { objects: [] })))
      outcomes.push(await outcome(() => cars.run(huge)))
    }
    limit('unlimited')
    console.log(JSON.stringify({ outcomes, works: await works(), later: await outcome(() => cars.run(huge)) }))`,
  [], 120_000)
  t.strictSame([code, signal], [0, null], stderr.slice(-500))
  const { outcomes, works, later } = JSON.parse(stdout || '{}') as
    { outcomes: string[]; works: boolean; later: string }
  t.ok(outcomes.some((outcome) => outcome !== 'done'), outcomes.join('\n'))
  for (const outcome of outcomes) t.match(outcome, /^(done|INTERNAL: |BAD_IMAGE: |INFERENCE: |TOO_LARGE: )/)
  t.strictSame([works, later], [true, 'done'], 'and all is well again')
})
