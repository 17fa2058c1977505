import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { compareAnswers } from '../../lib/bench/compare/agreement.js'
import { storeDirectory } from '../../lib/models/index.js'
import { runCli, runCliWith } from '../cli/run.js'
import { samplePath } from '../helpers/pictures.js'

interface Row {
  task: string
  contender: string
  count: number
  p50_ms: number
  inference_p50_ms: number
  same_objects?: number
  other_objects?: number
  least_iou?: number
}

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

t.test('bench compare: the same objects from every bench target, measured in turns, with their stages', async (t) => {
  const output = join(t.testdir(), 'compare.json')
  const { code, stdout, stderr } = await runCli(
    'bench', 'compare', await samplePath('faces'), '--task', 'face_detection', 'car_detection',
    '--peer', 'opencv-dnn', '--request-count', '3', '--warmup-request-count', '1', '--output', output,
  )
  t.equal(code, 0, stderr)
  t.match(stdout, /car_detection, library, model as exported ÷ baseline ≤ 1.10 +[\d.]+ +[\d.]+–[\d.]+ +(holds|missed)/)
  const { records } = JSON.parse(await readFile(output, 'utf8')) as { records: Row[] }
  const of = (task: string): Row[] => records.filter((row) => row.task === task)
  t.same(of('face_detection').map(({ contender }) => contender),
    ['library', 'library, model as exported', 'OpenCV DNN', 'floor'])
  t.same(of('car_detection').map(({ contender }) => contender),
    ['library', 'library, model as exported', 'library at 640×640', 'floor'],
    'its input is cut to the frame by default')
  for (const { task, contender, count, other_objects: apart, inference_p50_ms: inference, p50_ms: whole } of records) {
    t.equal(count, 3)
    t.ok(inference > 0 && inference < whole, `${task}, ${contender}: inference is a part`)
    t.equal(apart ?? 0, 0, `${task}, ${contender}: the same objects`)
  }
  const peer = of('face_detection')[2]
  t.match(peer, { same_objects: 5 })
  t.ok((peer?.least_iou ?? 0) > 0.99, `boxes overlap by ${peer?.least_iou}`)
})

t.test('bench compare leaves out a peer that cannot be had, and fails where it is asked for by name', async (t) => {
  // A cache with no peer in it, and no network to fetch one.
  const cache = t.testdir()
  const env = {
    XDG_CACHE_HOME: cache, EDGE_INFER_STORE: storeDirectory(), npm_config_cache: join(cache, 'npm'),
    npm_config_registry: 'http://127.0.0.1:1', npm_config_fetch_retries: '0',
  }
  const compare = (...args: string[]) => runCliWith({ env }, 'bench', 'compare', '--task', 'face_detection',
    '--request-count', '1', '--warmup-request-count', '1', ...args)
  const rest = await compare()
  t.match(rest, { code: 0, stdout: /^OpenCV DNN .*Left out: onnxruntime-node \+ sharp: npm cannot install it/ms })
  const named = await compare('--peer', 'onnxruntime-node')
  t.match(named, { code: 1, stderr: /npm cannot install it .*RUNTIME_UNAVAILABLE/s })
})
