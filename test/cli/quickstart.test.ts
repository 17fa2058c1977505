import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createTask } from '../../lib/index.js'
import { runCliWith } from './run.js'

t.test('faces with head poses and a car, twice in one place', async (t) => {
  const directory = await realpath(t.testdir())
  for (const time of ['first', 'second']) {
    const { code, stdout, stderr } = await runCliWith({ cwd: directory }, 'quickstart')
    t.match({ code, stderr }, { code: 0, stderr: '' }, `the ${time} time`)
    t.match(stdout, /face × 5 \(up: 4\) in 1920 × 1398 pixels\n.*YAW +PITCH +ROLL/)
    t.match(stdout, /car × 1 in 1024 × 680 pixels\n/)
    t.match(stdout, /Over HTTP, at http:\/\/127\.0\.0\.1:\d+:\n.*ROUND TRIP\n/)
    t.match(stdout, /face_alignment +4 of 5 look up +\d+ +[\d.]+ ms +[\d.]+ ms\ncar_detection +car × 1 /)
    for (const name of ['faces.jpg', 'car.jpg']) t.match(stdout, join(directory, 'edge-infer-quickstart', name))
    t.match(stdout, /run face_alignment photo\.jpg --out/)
  }
  await using faces = await createTask('face_detection')
  const picture = await readFile(join(directory, 'edge-infer-quickstart', 'faces.jpg'))
  t.match(await faces.run(picture), { width: 1920, height: 1398 })
})

t.test('a place that cannot be written is named', async (t) => {
  const { code, stderr } = await runCliWith({ cwd: t.testdir({ taken: '' }) }, 'quickstart', '--out', 'taken')
  const message = /The directory of --out cannot be written: EEXIST.*\[BAD_OPTION\]/
  t.match({ code, stderr }, { code: 1, stderr: message })
})
