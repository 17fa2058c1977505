import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { measureAccuracy, reportAccuracy, type Accuracy } from '../../lib/bench/index.js'
import { samplePath } from '../helpers/pictures.js'
import { sharedPath, skip, useSharedModels } from '../helpers/shared.js'

/** What the default models are known to reach, and no more than two objects below it. */
const EXPECTED: Record<string, { objects: number; precision: number; recall: number }> = {
  wider_val416: { objects: 75, precision: 0.93, recall: 0.86 },
  coco_vehicles: { objects: 12, precision: 0.6, recall: 0.5 },
  helmets_shwd100: { objects: 134, precision: 0.78, recall: 0.76 },
  helmets_reviewed: { objects: 30, precision: 0.9, recall: 0.9 },
}

t.test('a directory without labelled sets', async (t) => {
  await t.rejects(measureAccuracy({ data: t.testdir() }), { code: 'BAD_OPTION', message: /wider_val416/ })
})

t.test('a set of one\'s own: a car that is labelled, and one that is not there', async (t) => {
  const data = t.testdir({ images: {}, labels: { 'car.txt': '2 0.496 0.496 0.868 0.421\n7 0.1 0.1 0.1 0.1\n' } })
  copyFileSync(await samplePath('car'), join(data, 'images', 'car.jpg'))
  for (const result of await measureAccuracy({ data, tasks: ['car_detection'], threads: 1 })) {
    t.match(result, { kind: 'detection', objects: 2, precision: 1, recall: 0.5 }, result.mode)
  }
})

t.test('the default models on the labelled sets', { skip }, async (t) => {
  useSharedModels()
  const results = await measureAccuracy({ data: sharedPath(), threads: 2 })
  const of = (set: string, mode: string): Accuracy | undefined =>
    results.find((result) => result.set === set && result.mode === mode)
  for (const [set, { objects, precision, recall }] of Object.entries(EXPECTED)) {
    for (const mode of ['full decode', 'default']) {
      const result = of(set, mode)
      if (result?.kind !== 'detection') return t.fail(`${set} was not measured: ${mode}`)
      t.equal(result.objects, objects, `${set}: labelled objects`)
      t.ok(result.precision >= precision, `${set}, ${mode}: precision ${result.precision}`)
      t.ok(result.recall >= recall, `${set}, ${mode}: recall ${result.recall}`)
    }
  }
  const tiled = of('wider_val416, tiled 2×2', 'default')
  t.ok(tiled?.kind === 'detection' && (tiled.differing ?? 0) > 0, 'tiled frames are large enough for a reduced decode')
  const pose = of('aflw2000', 'full decode')
  t.ok(pose?.kind === 'head pose' && pose.meanAbsoluteError.all < 5.5, 'degrees of error')
  const { records } = reportAccuracy(results, {})
  t.equal(records.length, results.length)
})
