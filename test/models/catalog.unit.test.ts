import { readFileSync } from 'node:fs'
import t from 'tap'
import { EdgeInferError } from '../../lib/errors.js'
import { readCatalog } from '../../lib/models/catalog.js'
import { findModel, loadCatalog } from '../../lib/models/index.js'
import { parseCatalog } from '../../lib/models/schema.js'
import { native } from '../../lib/native.js'

const PATH = new URL('../../../models/catalog.json', import.meta.url).pathname

t.test('every file says where it comes from', async (t) => {
  const { models, samples } = readCatalog(PATH)
  for (const { name, files, obtain } of [...models, ...samples.map((sample) => ({ ...sample, obtain: undefined }))]) {
    for (const file of files) {
      t.ok(file.sources.length > 0 ? file.sha256 && file.bytes : obtain, `${name}: ${file.name}`)
    }
  }
})

t.test('family defaults are filled in, and an entry may say otherwise', async (t) => {
  const { families } = loadCatalog()
  t.match(families.yolox?.preprocessing, { channelOrder: 'bgr', mean: [0, 0, 0], scale: [1, 1, 1] })
  t.equal(families.hopenet?.cropMargin, 0.3)
  const helmet = findModel('helmet-yolox')
  t.match(helmet?.preprocessing, { resize: 'letterbox-top-left', channelOrder: 'rgb', pad: 114 })
  t.ok(Math.abs((helmet?.preprocessing.scale[0] ?? 0) - 1 / 58.395) < 1e-12)
  t.strictSame(helmet?.labels, ['helmet', 'head'])
  t.strictSame(helmet?.thresholds, { scoreThreshold: 0.35, iouThreshold: 0.45, maxDetections: 1000 })
  const text = JSON.parse(readFileSync(PATH, 'utf8')) as { families: Record<string, { thresholds: object }> }
  Object.assign(text.families.yolov5 as object, { thresholds: { scoreThreshold: 0.5, maxDetections: 100 } })
  Object.assign((text as unknown as { models: object[] }).models[0] as object, { thresholds: { scoreThreshold: 0.7 } })
  const { families: changed, models } = parseCatalog(JSON.stringify(text), 'my.json', '/')
  const every = { scoreThreshold: 0.5, iouThreshold: 1, maxDetections: 100 }
  t.strictSame(changed.yolov5?.thresholds, every, 'a family that answers each object once has no overlap to name')
  const [first] = models
  t.strictSame(first?.thresholds, { ...changed[first?.family ?? '']?.thresholds, scoreThreshold: 0.7 })
  t.equal(findModel('ultraface-rfb-320-raw')?.boxesDecoded, false)
  t.equal(findModel('yolov8n')?.labels[2], 'car')
})

t.test('the names of weights that callers use mean the catalogue entries', async (t) => {
  t.equal(findModel('yolov5s.pt')?.name, 'yolov5s')
  t.equal(findModel('yolov8n.onnx')?.name, 'yolov8n')
  t.equal(findModel('helmet_detection_yolox.onnx')?.name, 'helmet-yolox')
  t.equal(findModel('yolov9000'), undefined)
})

t.test('a broken catalogue is refused with the place and what was expected', async (t) => {
  const text = readFileSync(PATH, 'utf8')
  const file = ['models', 0, 'files', 0]
  const broken: Array<[path: Array<string | number>, value: unknown, message: RegExp]> = [
    [['models', 0, 'task'], '', /models\[0\]\.task: expected a non-empty string, received ""/],
    [['models', 1, 'input', 'width'], undefined, /models\[1\]\.input\.width: expected an integer above 0, received/],
    [['models', 0, 'thresold'], 1, /models\[0\]\.thresold: expected no such field \(known: name, /],
    [[...file, 'sha256'], 'abc', /files\[0\]\.sha256: expected a SHA-256 .*received "abc"/],
    [[...file, 'sha256'], undefined, /files\[0\]\.sha256: expected the SHA-256 of a file that is downloaded/],
    [[...file, 'sources', 0, 'package'], 'x@^1', /sources\[0\]\.package: expected an exact npm version/],
    [['packages'], {}, /sources\[0\]\.package: expected a package listed under "packages"/],
    [['models', 1, 'name'], 'yolov8n', /models: expected names used once, but "yolov8n" comes twice/],
    [['models', 0, 'labelSet'], 'x', /labelSet: expected one of coco80, face, helmet, received "x"/],
    [['families', 'yolov8', 'preprocessing', 'std', 1], 0, /std\[1\]: expected three numbers above 0/],
    [['models'], {}, /models: expected a list, received \{\}/],
  ]
  for (const [path, value, message] of broken) {
    const catalog: unknown = JSON.parse(text)
    set(catalog, path, value)
    const parse = () => parseCatalog(JSON.stringify(catalog), 'my.json', '/')
    t.throws(parse, { code: 'BAD_OPTION', message }, path.join('.'))
  }
  t.throws(() => parseCatalog('{', 'my.json', '/'), { message: /my\.json is not JSON/ })
  t.throws(() => readCatalog('/nowhere.json'), EdgeInferError)
})

function set(root: unknown, path: readonly (string | number)[], value: unknown): void {
  const [last, ...parents] = [...path].reverse() as [string | number, ...Array<string | number>]
  const parent = parents.reverse().reduce((node, key) => (node as Record<string, unknown>)[key], root)
  Object.assign(parent as object, { [last]: value })
}

t.test('the catalogue describes the families of the addon, each of them once', async (t) => {
  const families = native.families().filter(({ internal }) => !internal)
  t.strictSame(families.map(({ name }) => name).sort(), Object.keys(readCatalog(PATH).families).sort())
  const page = readFileSync(new URL('../../../docs/tasks-and-models.md', import.meta.url), 'utf8')
  const rows = page.toLowerCase().replaceAll('-', '')
  for (const { name } of families) t.match(rows, `\n| ${name.replaceAll('-', '')} |`, `${name} has a row in the page`)
  t.equal(families.find(({ name }) => name === 'fsanet')?.kind, 'head_pose')
  t.match(families.find(({ name }) => name === 'yolov5'), { kind: 'detection', outputs: /5 \+ classes/ })
})
