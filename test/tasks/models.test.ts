/** The models of the tasks, with the user's catalogue and without. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  defaultModelFor, isDefaultModel, loadTaskCatalog, resolveModel, resolveTaskModel,
} from '../../lib/tasks/models.js'
import { definitionOf, TASK_NAMES } from '../../lib/tasks/registry.js'
import { writeConstantModel } from '../helpers/onnx.js'
import { useOwnEnvironment } from '../models/helpers.js'

async function writeOwn(root: string, models: readonly object[]): Promise<void> {
  const rest = {
    family: 'yolov8', licence: { id: 'MIT' }, obtain: 'none', input: { name: 'images', width: 64, height: 64 },
    files: [{ name: 'own.onnx', sources: [] }],
  }
  await writeFile(join(root, 'catalog.json'), JSON.stringify({
    models: models.map((model) => ({ ...rest, ...model })),
  }))
}

t.test('every model of the built-in catalogue is for a task, and every task has a default one', async (t) => {
  const { models } = loadTaskCatalog()
  for (const task of TASK_NAMES) {
    t.equal(defaultModelFor(task).name, definitionOf(task).models[0], task)
    t.equal(models.filter((entry) => entry.task === task && isDefaultModel(entry)).length, 1, task)
    for (const name of definitionOf(task).models) t.ok(models.some(
      (entry) => entry.name === name && entry.task === task,
    ), name)
  }
})

t.test("a user's default is its task's only one", async (t) => {
  const { root } = await useOwnEnvironment(t)
  await writeOwn(root, [{ name: 'another', task: 'car_detection' }, {
    name: 'mine', task: 'car_detection', default: true,
  }])
  t.equal(defaultModelFor('car_detection').name, 'mine')
  const defaults = loadTaskCatalog().models.filter((entry) => entry.task === 'car_detection' && isDefaultModel(entry))
  t.strictSame(defaults.map(({ name }) => name), ['mine'])
  t.equal(defaultModelFor('face_detection').name, 'ultraface-rfb-320')
})

t.test('a catalogue with a model for no task is refused with the place and what was expected', async (t) => {
  const { root } = await useOwnEnvironment(t)
  await writeOwn(root, [{ name: 'one', task: 'car_detection' }, { name: 'two', task: 'cars' }])
  const wrong = {
    code: 'BAD_OPTION',
    message: /catalog\.json is broken at models\[1\]\.task: expected one of face_detection, .*, received "cars"$/,
  }
  t.throws(() => defaultModelFor('car_detection'), wrong)
  await t.rejects(resolveModel('one', { download: false }), wrong)
})

t.test('a file of the user is of the family of its task, and no model is taken for another task', async (t) => {
  const { root } = await useOwnEnvironment(t)
  await writeOwn(root, [])
  const mine = join(root, 'mine.onnx')
  writeConstantModel(mine, [{ name: 'images', shape: [1, 3, 32, 32] }], [{ name: 'out', shape: [1, 66] }])
  t.match((await resolveTaskModel('face_alignment', mine)).entry, {
    family: 'hopenet', task: 'face_alignment', cropMargin: 0.3,
  })
  t.match((await resolveModel(mine, { family: 'ultraface' })).entry, { task: 'face_detection' })
  const other = { message: 'Expected a model for face_detection but yolov8n is one for car_detection' }
  await writeOwn(root, [{ name: 'yolov8n', task: 'car_detection', files: [{ name: 'mine.onnx', sources: [] }] }])
  process.env.EDGE_INFER_MODELS = root
  await t.rejects(resolveTaskModel('face_detection', 'yolov8n'), { code: 'BAD_OPTION', ...other })
  await t.rejects(resolveTaskModel('face_detection', 'yolov8n', {}, 'BAD_MODEL_CTX'), {
    code: 'BAD_MODEL_CTX', ...other,
  })
})
