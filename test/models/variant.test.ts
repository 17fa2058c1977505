/** The faster forms that are made of models: which have one, and that they answer as the files themselves. */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createTask, type TaskName } from '../../lib/index.js'
import { removeVariant, resolveModel, variantOf } from '../../lib/models/index.js'
import { differences, type Scored } from '../helpers/boxes.js'
import { sharedImage, skip, useSharedModels } from '../helpers/shared.js'

/** The model that is named, in a store of its own: the path of a copy there. */
async function copyOf(t: { testdir(): string }, task: TaskName, name: string) {
  const { entry, paths } = await resolveModel(name, { task })
  process.env.EDGE_INFER_STORE = t.testdir()
  const path = join(process.env.EDGE_INFER_STORE, 'model.onnx')
  copyFileSync(paths[0] as string, path)
  return { entry, path, variants: join(process.env.EDGE_INFER_STORE, 'variants') }
}

t.afterEach(() => { delete process.env.EDGE_INFER_STORE })

t.test('made once, and kept', async (t) => {
  const { entry, path, variants } = await copyOf(t, 'face_detection', 'ultraface-rfb-320')
  const variant = await variantOf(entry, path)
  t.match(variant, { family: 'ultraface-raw', inputSize: { width: 320, height: 240 } })
  writeFileSync(variant?.path as string, 'what lies in the store is not made again')
  t.strictSame(await variantOf(entry, path), variant)
  t.equal(readFileSync(variant?.path as string, 'utf8'), 'what lies in the store is not made again')
  t.equal(readdirSync(variants).length, 2, 'the form and what is known of it')
})

t.test('removed, with what is known of it', async (t) => {
  const { entry, path, variants } = await copyOf(t, 'face_detection', 'ultraface-rfb-320')
  await variantOf(entry, path)
  await removeVariant(path)
  t.strictSame(readdirSync(variants), [])
})

t.test('a graph of another end has none, and that is kept too', async (t) => {
  const { entry } = await resolveModel('ultraface-rfb-320', { task: 'face_detection' })
  const { path, variants } = await copyOf(t, 'face_alignment', 'hopenet')
  t.equal(await variantOf(entry, path), undefined)
  const [note] = readdirSync(variants)
  t.match(JSON.parse(readFileSync(join(variants, note as string), 'utf8')), { usable: false, reason: /does not end as/ })
})

t.test('a store that cannot be written costs the faster form, not the model', async (t) => {
  const { entry, path } = await copyOf(t, 'face_detection', 'ultraface-rfb-320')
  process.env.EDGE_INFER_STORE = path
  t.equal(await variantOf(entry, path), undefined)
})

const PICTURES = ['demo/people.jpg', 'demo/street.jpg', 'wider_val416/0_Parade_Parade_0_194.jpg']
const MODELS: ['face_detection' | 'car_detection', string][] = [
  ['face_detection', 'ultraface-rfb-320'], ['face_detection', 'ultraface-rfb-320-raw'],
  ['face_detection', 'ultraface-slim-320'], ['face_detection', 'ultraface-rfb-640'], ['car_detection', 'yolov8n'],
]

t.test('the same objects as the file itself finds', { skip }, async (t) => {
  useSharedModels()
  for (const [task, model] of MODELS) {
    await using exported = await createTask(task, { model, asExported: true })
    await using faster = await createTask(task, { model, rectangular: false })
    t.ok(faster.model.outputs.length > exported.model.outputs.length, `${model} has a faster form`)
    for (const picture of PICTURES) {
      const [expected, found] = await Promise.all([exported, faster].map(async (one): Promise<Scored[]> =>
        (await one.run(sharedImage(picture))).objects))
      const limits = { threshold: 0.25, iouLimit: 0.98, scoreLimit: 0.005 }
      t.strictSame(differences(found ?? [], expected ?? [], limits), [], `${model}, ${picture}`)
    }
  }
})

t.test('a frame is given the smallest input that holds it, of a model that takes any size', { skip }, async (t) => {
  useSharedModels()
  const sizes = async (options: { rectangular?: boolean; asExported?: boolean }): Promise<unknown[]> => {
    await using cars = await createTask('car_detection', { model: 'yolov8n', ...options })
    return [[1280, 720], [810, 1080], [100, 100], [4000, 1]].map(([width = 0, height = 0]) => {
      const input = cars.model.inputSizeFor(width, height)
      return [input.width, input.height]
    })
  }
  t.strictSame(await sizes({}), [[640, 384], [480, 640], [640, 640], [640, 32]])
  const whole = [[640, 640], [640, 640], [640, 640], [640, 640]]
  t.strictSame(await sizes({ rectangular: false }), whole)
  t.strictSame(await sizes({ asExported: true }), whole)
})
