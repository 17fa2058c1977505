import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { findData } from './data.js'

const execute = promisify(execFile)
const EXECUTABLE = fileURLToPath(new URL('../../../bin/edge-infer', import.meta.url))

/** The command line as a user runs it, without the hooks that the test runner puts into its children. */
function bench(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { NODE_OPTIONS: _, ...env } = process.env
  return execute(process.execPath, [EXECUTABLE, 'bench', ...args], { env })
}

interface Row {
  task: string
  contender: string
  stage: string
  threads: number
  count: number
  model_runs: number
  p50_ms: number
  ratio_to_floor?: number
}

t.test('bench kernel measures each stage, and the floor beside it', async (t) => {
  const data = findData(t)
  if (data === undefined) return
  const output = join(t.testdir(), 'kernel.json')
  const { stdout } = await bench(
    'kernel', join(data, 'images', 'demo', 'people.jpg'), '--task', 'face_detection', 'face_alignment',
    '--threads', '1,2', '--request-count', '5', '--warmup-request-count', '2', '--concurrent-runs', '0', '--output', output,
  )
  t.match(stdout, /face_detection +ultraface-rfb-320 +people.jpg 1280×720 +1 +5 /)
  const { records } = JSON.parse(await readFile(output, 'utf8')) as { records: Row[] }
  for (const task of ['face_detection', 'face_alignment']) {
    for (const threads of [1, 2]) {
      const rows = records.filter((row) => row.task === task && row.threads === threads)
      const p50 = (contender: string, stage: string): number =>
        rows.find((row) => row.contender === contender && row.stage === stage)?.p50_ms ?? Number.NaN
      const parts = ['decode', 'preprocess', 'inference', 'postprocess', 'encode', 'overhead']
      const sum = parts.reduce((total, stage) => total + p50('library', stage), 0)
      const total = p50('library', 'total')
      t.ok(sum > total * 0.7 && sum < total * 1.3, `${task}: the stages (${sum}) make the whole (${total})`)
      t.ok(p50('floor', 'decode') > 0 && p50('floor', 'inference') > 0, `${task}: a floor`)
      const whole = rows.find((row) => row.contender === 'library' && row.stage === 'total')
      t.equal(whole?.count, 5)
      t.equal(whole?.model_runs, task === 'face_alignment' ? 2 : 1, 'a frame has two faces')
      t.ok((whole?.ratio_to_floor ?? 0) > 0.1)
    }
  }
})

t.test('options that are wrong are refused before anything is measured', async (t) => {
  await t.rejects(bench('kernel', '--output', 'x.pdf'), { code: 1, stderr: /x\.pdf.*BAD_OPTION/s })
  await t.rejects(bench('kernel', '--threads', '0'), { code: 2, stderr: /whole number from 1/ })
  await t.rejects(bench('kernel', '--task', 'dogs'), { code: 2, stderr: /face_detection/ })
  await t.rejects(bench('kernel', '--model', 'mine.onnx'), { code: 1, stderr: /--task/ })
  await t.rejects(bench('kernel', '--task', 'face_detection', '--output', 'x.csv', '--', '/nonexistent.jpg'), {
    code: 1, stderr: /nonexistent\.jpg.*BAD_IMAGE/,
  })
})
