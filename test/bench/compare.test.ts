import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { compareAnswers } from '../../lib/bench/compare/agreement.js'
import { runCli } from '../cli/run.js'
import { findData } from './data.js'

const A: [number, number, number, number] = [0, 0, 100, 100]
const B: [number, number, number, number] = [200, 0, 300, 100]

t.test('answers are the same where boxes and classes are', async (t) => {
  const one = [{ box: A, classId: 0, score: 0.9 }, { box: B, classId: 0, score: 0.8 }]
  const other = [{ box: [0, 0, 100, 90] as [number, number, number, number], classId: 0, score: 0.85 }]
  const agreement = compareAnswers(one, [...other, { box: B, classId: 1, score: 0.8 }])
  t.match(agreement, { common: 1, apart: 2, leastIou: 0.9 })
  t.ok(Math.abs(agreement.greatestScoreDifference - 0.05) < 1e-9)
  t.match(compareAnswers([], []), { common: 0, apart: 0 })
})

t.test('bench compare: OpenCV DNN finds the same faces, and every contender is measured in turns', async (t) => {
  const data = findData(t)
  if (data === undefined) return
  const output = join(t.testdir(), 'compare.json')
  const { code, stderr } = await runCli(
    'bench', 'compare', join(data, 'images', 'demo', 'people.jpg'), '--task', 'face_detection', '--peer', 'opencv-dnn',
    '--request-count', '3', '--warmup-request-count', '1', '--output', output,
  )
  t.equal(code, 0, stderr)
  const { records } = JSON.parse(await readFile(output, 'utf8')) as {
    records: Array<{ contender: string; count: number; least_iou?: number }>
  }
  t.same(records.map(({ contender }) => contender), ['library', 'OpenCV DNN', 'floor'])
  t.ok(records.every(({ count }) => count === 3))
  const peer = records[1]
  t.match(peer, { same_objects: 2, other_objects: 0 })
  t.ok((peer?.least_iou ?? 0) > 0.99, `boxes overlap by ${peer?.least_iou}`)
})
