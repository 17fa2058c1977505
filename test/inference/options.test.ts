/** Options of tasks and calls: what is wrong is named, with what was expected and received. */
import t from 'tap'
import { createTask, type TaskName, type TaskOptions } from '../../lib/index.js'
import { parseDevice } from '../../lib/inference/device.js'
import { street } from '../helpers/pictures.js'

t.test('wrong options are refused before anything is loaded', async (t) => {
  const wrong: [TaskOptions, RegExp][] = [
    [{ threads: 0 }, /whole number from 1 to 256 for threads but received 0 of type number/],
    [{ concurrency: 1.5 }, /concurrency/], [{ scoreThreshold: 2 }, /from 0 to 1 for scoreThreshold/],
    [{ iouThreshold: NaN }, /iouThreshold/],
    [{ maxDetections: 0 }, /maxDetections/], [{ classes: [] }, /class ids/], [{ classes: [-1] }, /class ids/],
    [{ device: 'gpu' }, /cpu, cuda\[:n\]/],
    [{ inputSize: 4 }, /inputSize/],
    [{ inputSize: { width: 64 } as { width: number; height: number } }, /the height of inputSize/],
  ]
  for (const [options, message] of wrong) {
    await t.rejects(createTask('car_detection', options), { code: 'BAD_OPTION', message })
  }
  await t.rejects(
    createTask('cat_detection' as TaskName), { code: 'UNKNOWN_TASK', message: /face_detection, face_alignment/ },
  )
  await t.rejects(createTask('car_detection', { model: 'no-such-model' }), { code: 'UNKNOWN_MODEL' })
})

t.test('devices', async (t) => {
  t.strictSame(parseDevice('cpu'), { kind: 'cpu', index: 0 })
  t.strictSame(parseDevice('cuda:3'), { kind: 'cuda', index: 3 })
  t.strictSame(parseDevice('tensorrt'), { kind: 'tensorrt', index: 0 })
  for (const text of ['', 'cpu:0', 'CUDA', 'cuda:', 'cuda:-1', 'cuda:1:2', 0, null, undefined]) {
    t.throws(() => parseDevice(text), { code: 'BAD_OPTION' })
  }
})

t.test('thresholds, classes and limits of one call', async (t) => {
  await using cars = await createTask('car_detection', { scoreThreshold: 0.6 })
  const run = async (options = {}): Promise<string[]> => (await cars.run(street, options)).objects.map(
    ({ label }) => label,
  )
  t.strictSame([...new Set(await run())].sort(), ['car', 'person'])
  t.ok((await run({ scoreThreshold: 0.2 })).length > (await run()).length)
  t.strictSame(await run({ classes: [2] }), ['car'])
  t.equal((await run({ maxDetections: 2 })).length, 2)
  const { timings, objects } = await cars.run(street)
  t.ok(objects.every(({ score }, index) => score <= (objects[index - 1]?.score ?? 1)), 'best first')
  t.ok(timings.decode > 0 && timings.preprocess > 0 && timings.inference > 0 && timings.postprocess > 0)
  await t.rejects(cars.run(street, { scoreThreshold: -1 }), { code: 'BAD_OPTION' })
  await t.rejects(cars.run(street, { crops: { margin: 99 } }), { code: 'BAD_OPTION', message: /crops\.margin/ })
})
