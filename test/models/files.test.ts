/** Files that are given as models: what each is, and what mends it; open sizes; the catalogue's switches. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createTask } from '../../lib/index.js'
import { OnnxModel } from '../../lib/models/onnx/model.js'
import { cutYoloV8 } from '../../lib/models/onnx/cut-yolov8.js'
import { runCliWith } from '../cli/run.js'
import { post, startServer } from '../http/server.js'
import { constantModel, graphModel, sparse, writeConstantModel, type FileSpec } from '../helpers/onnx.js'
import { people } from '../helpers/pictures.js'
import { sharedPath, skip } from '../helpers/shared.js'
import { useOwnEnvironment } from './helpers.js'

const CELLS = 64 + 16 + 4

/** A YOLOv8 file of two classes: one object of class 1 in the middle, half as wide and high as the input. */
function yolov8(path: string, side: number | string, file: FileSpec = {}): string {
  const shape = [1, 6, CELLS]
  const values = sparse(shape, [0, 32], [CELLS, 32], [2 * CELLS, 32], [3 * CELLS, 32], [5 * CELLS, 0.9])
  const input = { name: 'images', shape: [1, 3, side, side] }
  return writeConstantModel(path, [input], [{ name: 'out', shape, values }], file)
}

t.test('a file that is no model is named, with what mends it', async (t) => {
  const directory = t.testdir()
  const whole = constantModel([{ name: 'images', shape: [1, 3, 64, 64] }], [{ name: 'out', shape: [1, 6, CELLS] }])
  const zip = Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(100)])
  const files: [Buffer | string, RegExp][] = [
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n', /is a Git LFS pointer.*git lfs pull/],
    ['\n<!DOCTYPE html><html><body>Not found</body></html>', /is an HTML page.*Download the file itself/],
    ['', /is empty\. Copy or download it again/],
    [whole.subarray(0, whole.length - 40), /is cut off: it has \d+ bytes of at least \d+\. Copy or download/],
    [whole.subarray(0, 30), /is cut off/],
    [zip, /is a ZIP archive, as PyTorch weights.*yolo export format=onnx/],
    [Buffer.from('\x80\x02\x8a\x0a', 'latin1'), /Python pickle.*Export it to ONNX/],
    ['{"message": "API rate limit exceeded"}', /is JSON, not a model: \{"message"/],
    [Buffer.from('\x1c\0\0\0TFL3', 'latin1'), /TensorFlow Lite/],
    ['hello, this is a text', /is no ONNX model: it begins 68656c6c6f2c2074/],
    [Buffer.from([8, 8]), /no ONNX model: it has no graph/],
    [constantModel([{ name: 'a', shape: [1, 3, 64, 64] }], [{ name: 'out', shape: [1, 6, CELLS] }], { opset: 99 }),
      /opset.*Export it with operator set 17/],
    [constantModel([{ name: 'a', shape: [1, 3, 64, 64] }], [{ name: 'out', shape: [1, 6, CELLS] }], { irVersion: 99 }),
      /IR version.*or use a newer ONNX Runtime/],
  ]
  for (const [index, [content, message]] of files.entries()) {
    const model = join(directory, `yolov8-${index}.onnx`)
    writeFileSync(model, content)
    await t.rejects(createTask('car_detection', { model }), { code: 'MODEL_LOAD', message }, String(message))
  }
  mkdirSync(join(directory, 'folder.onnx'))
  writeFileSync(join(directory, 'best.pt'), zip)
  const paths: [string, RegExp][] = [
    ['folder.onnx', /"folder\.onnx" cannot be used as a model: it is a directory; name the \.onnx file in it/],
    ['./folder.onnx', /it is a directory/], ['./', /it is a directory/],
    ['best.pt', /"best\.pt" cannot be used .*PyTorch weights \(\.pt\) have to be exported first.*yolo export/],
    ['./best.pt', /have to be exported first/], ['./gone.onnx', /ENOENT/],
  ]
  for (const [model, message] of paths) {
    const { stderr } = await runCliWith({ cwd: directory }, 'run', 'car_detection', 'photo.jpg', '--model', model)
    t.match(stderr, message)
    t.match(stderr, /\[UNKNOWN_MODEL\]/)
  }
})

t.test('the pointer of the cases is named', { skip }, async (t) => {
  const model = sharedPath('cases', 'yolov8-lfs.onnx')
  await t.rejects(createTask('car_detection', { model }), { code: 'MODEL_LOAD', message: /Git LFS pointer/ })
})

t.test('a pointer in the place of a model of the catalogue is named', async (t) => {
  const { root } = await useOwnEnvironment(t)
  process.env.EDGE_INFER_CATALOG = ''
  process.env.EDGE_INFER_MODELS = root
  writeFileSync(join(root, 'yolov8n.onnx'), 'version https://git-lfs.github.com/spec/v1\n')
  const named = { code: 'MODEL_DIGEST', message: /Git LFS pointer/ }
  await t.rejects(createTask('car_detection', { download: false }), named)
})

t.test('an open size is that of the caller, the catalogue or the file', async (t) => {
  const { root } = await useOwnEnvironment(t)
  const [open, told] = [yolov8(join(root, 'yolov8-open.onnx'), 'side'),
    yolov8(join(root, 'yolov8-told.onnx'), 'side', { metadata: { imgsz: '[64, 64]' } })]
  const entry = {
    task: 'car_detection', family: 'yolov8', licence: { id: 'MIT' }, obtain: 'The test writes it',
    input: { name: 'images', width: 64, height: 64 }, files: [{ name: 'yolov8-open.onnx', sources: [] }],
  }
  writeFileSync(join(root, 'catalog.json'), JSON.stringify({ models: [{ ...entry, name: 'mine' }] }))
  writeFileSync(join(root, 'people.jpg'), people)
  process.env.EDGE_INFER_MODELS = root
  await t.rejects(createTask('car_detection', { model: open }), { code: 'MODEL_LOAD', message: /give an input size/ })
  for (const options of [{ model: open, inputSize: 64 }, { model: told }, { model: 'mine' }]) {
    await using cars = await createTask('car_detection', options)
    t.strictSame(cars.model.inputSizeFor(64, 64), { width: 64, height: 64 })
    t.equal((await cars.run(people)).objects.length, 1)
  }
  const run = (size: string): ReturnType<typeof runCliWith> =>
    runCliWith({ cwd: root }, 'run', 'car_detection', 'people.jpg', '--json', '--model', open, '--input-size', size)
  for (const size of ['64', '64x64']) t.match(JSON.parse((await run(size)).stdout), { result: { length: 1 } }, size)
  t.match((await run('64x')).stderr, /'64x' is invalid\. Expected pixels from 8 to 8192.*WIDTHxHEIGHT/)
  t.match((await run('96x64')).stderr, /\[MODEL_LOAD\]/)
})

t.test('the catalogue can say of YOLOX that its boxes are decoded', async (t) => {
  const { root } = await useOwnEnvironment(t)
  const shape = [1, CELLS, 7]
  // The same numbers are a box in either reading: pixels 3 and 4, or 3 and 4 cells of 8 pixels.
  const values = sparse(shape, [0, 3], [1, 4], [2, 2], [3, 2], [4, 1], [5, 0.9])
  const input = { name: 'images', shape: [1, 3, 64, 64] }
  writeConstantModel(join(root, 'small.onnx'), [input], [{ name: 'out', shape, values }])
  writeFileSync(join(root, 'catalog.json'), JSON.stringify({ models: [true, false].map((boxesDecoded) => ({
    name: `decoded-${boxesDecoded}`, task: 'car_detection', family: 'yolox', boxesDecoded, licence: { id: 'MIT' },
    obtain: 'The test writes it', input: { name: 'images', width: 64, height: 64 },
    files: [{ name: 'small.onnx', sources: [] }],
  })) }))
  process.env.EDGE_INFER_MODELS = root
  const square = { data: Buffer.alloc(64 * 64 * 3), width: 64, height: 64, channels: 3 }
  for (const [name, box] of [['decoded-true', [2, 3, 4, 5]], ['decoded-false', [0, 2, 54, 62]]] as const) {
    await using cars = await createTask('car_detection', { model: name })
    t.strictSame((await cars.run(square)).objects.map((object) => object.box.map(Math.round)), [box])
  }
})

t.test('the files of the cases run as their catalogue says', { skip }, async (t) => {
  await useOwnEnvironment(t)
  process.env.EDGE_INFER_MODELS = sharedPath('cases')
  process.env.EDGE_INFER_CATALOG = sharedPath('cases', 'cat.json')
  await using decoded = await createTask('car_detection', { model: 'xdec' })
  const { objects } = await decoded.run(sharedPath('cases', 'sq.png'))
  t.strictSame(objects.map(({ box }) => box), [[270, 290, 370, 350]])
  const exported = await createTask('car_detection', { model: 'dyn11', asExported: true })
  const faster = await createTask('car_detection', { model: 'dyn11' })
  t.strictSame([exported.model.outputs.length, faster.model.outputs.length], [1, 6], 'it has a faster form')
  t.strictSame(faster.model.inputSizeFor(1280, 720), { width: 640, height: 384 })
  await Promise.all([exported.close(), faster.close()])
})

t.test('the faster form is found where boxes and classes are joined apart, in either order', async (t) => {
  const levels = ['8', '16', '32']
  const joined = (name: string): [string, string, string][] => [
    ...levels.flatMap((level): [string, string, string][] => [
      ['Conv', 'images', `${name}${level}`], ['Reshape', `${name}${level}`, `flat_${name}${level}`]]),
    ['Concat', levels.map((level) => `flat_${name}${level}`).join(' '), `all_${name}`],
  ]
  const ends: [string, string, string][] = [
    ['Softmax', 'all_box', 'sides'], ['Sigmoid', 'all_class', 'scores'], ['Concat', 'sides scores', 'out'],
  ]
  const input = { name: 'images', shape: [1, 3, 'height', 'width'] }
  for (const order of [['box', 'class'], ['class', 'box']]) {
    const nodes = [...order.flatMap(joined), ...ends]
    const cut = cutYoloV8(graphModel(nodes, [input], [{ name: 'out', shape: [1, 6, 'cells'] }]))
    t.equal(cut?.inputSize, undefined)
    t.strictSame(new OnnxModel(cut?.file as Buffer).outputs.map(({ name }) => name),
      ['box8', 'class8', 'box16', 'class16', 'box32', 'class32'])
  }
  t.equal(cutYoloV8(graphModel(joined('box'), [input], [{ name: 'all_box', shape: [1] }])), undefined)
})

t.test('helmets: bare heads are counted by the names in the file, over HTTP', async (t) => {
  const metadata = { names: "{0: 'helmet', 1: 'head'}" }
  const weights = yolov8(join(t.testdir(), 'yolov8-yard.onnx'), 64, { metadata })
  const { url } = await startServer(t, { tasks: { helmet_detection: { workers: 1, modelContext: { weights } } } })
  const { body } = await post(`${url}/execute_task/helmet_detection`, { image: people.toString('base64') })
  t.match(body, { label: ['head'], clip_result: [{ ntotal: 1, n_no_helmet: 1 }] })
})
