/** The faster forms that are made of models: which have one, and that they answer as the files themselves. */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createTask, type TaskName } from '../../lib/index.js'
import { removeVariant, resolveModel, variantOf } from '../../lib/models/index.js'
import { differences, type Scored } from '../helpers/boxes.js'
import { face, people, street } from '../helpers/pictures.js'
import { shared, useSharedModels } from '../helpers/shared.js'

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
  t.match(JSON.parse(readFileSync(join(variants, note as string), 'utf8')), {
    usable: false, reason: /does not end as/,
  })
})

t.test('a store that cannot be written costs the faster form, not the model', async (t) => {
  const { entry, path } = await copyOf(t, 'face_detection', 'ultraface-rfb-320')
  process.env.EDGE_INFER_STORE = path
  t.equal(await variantOf(entry, path), undefined)
})

const PICTURES = { people, street, face }
const MODELS: ['face_detection' | 'car_detection', string][] = [
  ['face_detection', 'ultraface-rfb-320'], ['car_detection', 'yolov8n'],
]
if (shared.present) {
  useSharedModels()
  for (const model of ['ultraface-rfb-320-raw', 'ultraface-slim-320', 'ultraface-rfb-640']) {
    MODELS.push(['face_detection', model])
  }
}

t.test('the same objects as the file itself finds', async (t) => {
  for (const [task, model] of MODELS) {
    await using exported = await createTask(task, { model, asExported: true })
    await using faster = await createTask(task, { model, rectangular: false })
    t.ok(faster.model.outputs.length > exported.model.outputs.length, `${model} has a faster form`)
    for (const [name, picture] of Object.entries(PICTURES)) {
      const [expected, found] = await Promise.all([exported, faster].map(async (one): Promise<Scored[]> =>
        (await one.run(picture)).objects))
      const limits = { threshold: 0.25, iouLimit: 0.98, scoreLimit: 0.005 }
      t.strictSame(differences(found ?? [], expected ?? [], limits), [], `${model}, ${name}`)
    }
  }
})

t.test('a frame is given the smallest input that holds it, of a model that takes any size', async (t) => {
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
