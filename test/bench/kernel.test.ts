import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../cli/run.js'
import { people } from '../helpers/pictures.js'

interface Row {
  task: string
  contender: string
  stage: string
  threads: number
  count: number
  model_runs: number
  mean_ms: number
  ratio_to_floor?: number
}

t.test('bench kernel measures each stage, and the baseline', async (t) => {
  const picture = join(t.testdir(), 'people.jpg')
  await writeFile(picture, people)
  const output = join(t.testdirName, 'kernel.json')
  const { code, stdout, stderr } = await runCli(
    'bench', 'kernel', picture, '--task', 'face_detection', 'face_alignment',
    '--threads', '1,2', '--request-count', '5', '--warmup-request-count', '2', '--concurrent-runs', '0',
    '--output', output,
  )
  t.equal(code, 0, stderr)
  t.match(stdout, /face_detection +ultraface-rfb-320 +320×240 +people.jpg 1280×720 +1 +5 /)
  const { records } = JSON.parse(await readFile(output, 'utf8')) as { records: Row[] }
  for (const task of ['face_detection', 'face_alignment']) {
    for (const threads of [1, 2]) {
      const rows = records.filter((row) => row.task === task && row.threads === threads)
      const mean = (contender: string, stage: string): number =>
        rows.find((row) => row.contender === contender && row.stage === stage)?.mean_ms ?? Number.NaN
      const parts = ['decode', 'preprocess', 'inference', 'postprocess', 'encode', 'overhead']
      const sum = parts.reduce((total, stage) => total + mean('library', stage), 0)
      const total = mean('library', 'total')
      t.ok(Math.abs(sum - total) < 1e-6, `${task}: the stages (${sum}) make the whole (${total})`)
      t.ok(mean('library', 'overhead') > 0, `${task}: no stage is counted twice`)
      t.ok(mean('floor', 'decode') > 0 && mean('floor', 'inference') > 0, `${task}: a baseline`)
      const whole = rows.find((row) => row.contender === 'library' && row.stage === 'total')
      t.equal(whole?.count, 5)
      t.equal(whole?.model_runs, task === 'face_alignment' ? 4 : 1, 'a frame has four faces')
      t.ok((whole?.ratio_to_floor ?? 0) > 0)
    }
  }
})

t.test('options that are wrong are refused before anything is measured', async (t) => {
  const refused = async (code: number, message: RegExp, ...args: string[]): Promise<void> => {
    const outcome = await runCli('bench', 'kernel', ...args)
    t.match(outcome, { code, stderr: message }, args.join(' '))
  }
  await refused(1, /x\.pdf.*BAD_OPTION/s, '--output', 'x.pdf')
  await refused(2, /whole number from 1/, '--threads', '0')
  await refused(2, /face_detection/, '--task', 'dogs')
  await refused(1, /--task/, '--model', 'mine.onnx')
  await refused(1, /nonexistent\.jpg.*BAD_IMAGE/s, '/nonexistent.jpg', '--task', 'face_detection')
})
