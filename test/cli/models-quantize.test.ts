/** `edge-infer models quantize`: what is written, what is refused, and that nothing is left behind. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveModel } from '../../lib/models/index.js'
import { OnnxModel } from '../../lib/models/onnx/model.js'
import { writeConstantModel } from '../helpers/onnx.js'
import { cut, face, jpegOf, people, pixelsOf, sample } from '../helpers/pictures.js'
import { runCliWith, type CliResult } from './run.js'

const MODEL = 'ultraface-version-RFB-320.onnx'
/** The faces of `people`, 1280 × 720 pixels, as a YOLO text file. */
const LABELS = [[226, 105, 386, 333], [548, 199, 721, 431], [870, 394, 1036, 658], [43, 406, 213, 674]]
  .map(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) =>
    `0 ${(x1 + x2) / 2 / 1280} ${(y1 + y2) / 2 / 720} ${(x2 - x1) / 1280} ${(y2 - y1) / 720}\n`).join('')
const HEAD = await jpegOf(cut(await pixelsOf(await sample('faces'), 1920), 750, 70, 260, 300))

/** A directory with pictures, a labelled set and a store of its own. */
function prepare(t: { testdir(): string }): { root: string; run: (...args: string[]) => Promise<CliResult> } {
  const root = t.testdir()
  for (const name of ['faces', 'head', 'none', 'set/images', 'set/labels', 'store']) {
    mkdirSync(join(root, name), { recursive: true })
  }
  for (const name of ['faces/1.jpg', 'set/images/people.jpg']) writeFileSync(join(root, name), people)
  writeFileSync(join(root, 'faces/2.jpg'), face)
  writeFileSync(join(root, 'set/labels/people.txt'), LABELS)
  writeFileSync(join(root, 'head/1.jpg'), HEAD)
  const env = { EDGE_INFER_STORE: join(root, 'store') }
  return { root, run: (...args) => runCliWith({ cwd: root, env }, 'models', 'quantize', ...args) }
}

t.test('a file that is accurate enough is written, and can be run', async (t) => {
  const { root, run } = prepare(t)
  copyFileSync((await resolveModel('ultraface-rfb-320')).paths[0] as string, join(root, MODEL))

  const labelled = await run(`./${MODEL}`, '--calibrate', 'faces', '--labels', 'set', '--json')
  t.equal(labelled.code, 0, labelled.stderr)
  t.match(JSON.parse(labelled.stdout), {
    convolutions: { all: 52, quantized: 44 },
    accuracy: [{ set: 'set, objects', pictures: 1, unit: 'points', before: 100, after: 100 }],
  })
  const own = await run(`./${MODEL}`, '--calibrate', 'faces', '--out', 'own.onnx', '--max-loss', '3')
  t.match(own, { code: 0, stdout: /the float model's answers +2 +100\.00.*\n[^]*file +1\.2 MB +60\d kB +0\.50\n/ })
  t.match(own.stdout, /\/own\.onnx\n$/)
  t.strictSame(readdirSync(root).filter((name) => name.includes('partial')), [])
  const found = await runCliWith(
    { cwd: root, env: { EDGE_INFER_STORE: join(root, 'store') } },
    'run', 'face_detection', 'faces/1.jpg', '--model', './own.onnx')
  t.match(found, { code: 0, stdout: /face × 4/ })
})

t.test('one that loses too much is not, unless it is forced', async (t) => {
  const { root, run } = prepare(t)
  const model = join(root, 'hopenet.onnx')
  copyFileSync((await resolveModel('hopenet')).paths[0] as string, model)
  const before = readdirSync(root)
  // Rounding moves a head by more than a hundredth of a degree, whatever is left in float.
  const limits = ['./hopenet.onnx', '--calibrate', 'head', '--max-loss', '0.01']
  const refused = await run(...limits)
  t.match(refused, { code: 1, stderr: /loses \d+\.\d+ degrees on .*0\.01 are allowed.*\[NOT_QUANTIZED\]\n$/ })
  t.match(refused.stdout, /All \d attempts lost too much\.[^]* +1 +0\.00 +\d\.\d+ +\d\.\d+ degrees\n/)
  t.strictSame(readdirSync(root), before)

  const forced = await run(...limits, '--force', '--out', 'forced.onnx')
  t.match(forced, { code: 0, stdout: /Written all the same: .*forced\.onnx\n$/ })
  const ops = new OnnxModel(readFileSync(join(root, 'forced.onnx'))).nodes.map(({ op }) => op)
  t.ok(ops.includes('QuantizeLinear'))
})

t.test('what is wrong with the command is said', async (t) => {
  const { root, run } = prepare(t)
  writeFileSync(join(root, 'broken.onnx'), 'no model')
  const broken = ['./broken.onnx', '--task', 'car_detection']
  writeConstantModel(
    join(root, 'mine.onnx'), [{ name: 'images', shape: [1, 3, 32, 32] }], [{ name: 'out', shape: [1, 84, 21] }])
  const mine = ['./mine.onnx', '--task', 'car_detection']
  t.match(await run(...mine, '--calibrate', 'none'), {
    code: 1, stderr: /Expected pictures .* in none but there are none/,
  })
  t.match(await run(...mine, '--calibrate', 'gone'), { code: 1, stderr: /--calibrate gone cannot be read: ENOENT/ })
  t.match(await run(...broken, '--calibrate', 'faces'), {
    code: 1, stderr: /broken\.onnx is no ONNX model.*\[MODEL_LOAD\]/,
  })
  t.match(await run(...mine, '--calibrate', 'faces', '--out', 'a.txt'), { code: 1, stderr: /--out to end in \.onnx/ })
  t.match(await run(...broken), { code: 2, stderr: /--calibrate <directory>' not specified/ })
  t.match(await run(...broken, '--calibrate', 'faces', '--max-loss', '-1'), {
    code: 2, stderr: /a number from 0 to 100/,
  })
})
