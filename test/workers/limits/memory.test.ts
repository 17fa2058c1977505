/** A task's memory limit, and workers that it has no room for. */
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { resolveModel } from '../../../lib/models/index.js'
import { face, isAlive, jobOf, noLimits, start, until, type Started } from '../helpers.js'

t.test('a worker that the limit has no room for is refused before it starts, and harms nobody', { skip: noLimits },
  async (t) => {
    const { service, limits } = await start(t, { tasks: { face_detection: { workers: 1 } } })
    const { memoryBytes } = limits.capacity
    const share = (bytes: number): number => bytes / memoryBytes
    await service.run('face_detection', jobOf(face))
    const refusal = await service.limitTask('face_detection', { mem_limit: share(2 ** 20) })
      .catch((error: unknown) => error as { details: { usedBytes: number } })
    const { usedBytes } = (refusal as { details: { usedBytes: number } }).details
    await service.limitTask('face_detection', { mem_limit: share(usedBytes + 40 * 2 ** 20) })
    const pid = service.workers()[0]?.pid as number
    const tooLow = {
      code: 'LIMIT_TOO_LOW', status: 409,
      message: /limit of the task of at least 0\.\d+ \(\d+ MiB in use and \d+ MiB for another worker, of \d+ MiB/,
    }
    await t.rejects(service.add('face_detection'), tooLow)
    await t.rejects(service.add('face_detection'), tooLow)
    t.equal(service.stats('face_detection').oomKills, 0)
    t.equal((await service.run('face_detection', jobOf(face))).pid, pid, 'the one there is serves on')

    const { details } = await service.add('face_detection').catch((error: unknown) => error) as
      { details: { least: number } }
    await service.limitTask('face_detection', { mem_limit: details.least * 1.2 })
    await service.add('face_detection')
    t.equal(service.workers('face_detection').length, 2, 'under the limit that was named, and a little')
  })

t.test('a limit that was too low for one to start is known from then on', { skip: noLimits }, async (t) => {
  const { service, limits } = await start(t, { tasks: {} })
  const mem_limit = 40 * 2 ** 20 / limits.capacity.memoryBytes
  await service.limitTask('face_detection', { mem_limit })
  const tooLow = { code: 'LIMIT_TOO_LOW', message: /for another worker, of/ }
  await t.rejects(service.add('face_detection'), tooLow)
  const { cpuSeconds } = service.stats('face_detection')
  await t.rejects(service.add('face_detection'), tooLow)
  t.equal(service.stats('face_detection').cpuSeconds, cpuSeconds, 'none was started a second time')
  await service.limitTask('face_detection', { mem_limit: 1 })
  await service.add('face_detection')
  await service.run('face_detection', jobOf(face))
})

/** Workers of a model file that is then no model: those that die cannot be replaced. */
async function withBrokenModel(t: Test, workers: number): Promise<Started & { mend(): void }> {
  const { paths: [source] } = await resolveModel('ultraface-rfb-320', { task: 'face_detection', download: false })
  const model = join(t.testdir(), 'version-RFB-320.onnx')
  const mend = (): void => copyFileSync(source as string, model)
  mend()
  const started = await start(t, { tasks: { face_detection: { workers, modelContext: { weights: model } } } })
  writeFileSync(model, 'no model')
  return { ...started, mend }
}

t.test('fewer workers: the one that waits to be replaced is not replaced', async (t) => {
  const { service, lines, mend } = await withBrokenModel(t, 2)
  const [kept, killed] = service.workers().map(({ pid }) => pid) as [number, number]
  process.kill(killed, 'SIGKILL')
  t.ok(await until(() => lines.some(({ msg }) => /could not be replaced/.test(msg))))
  t.strictSame(await service.decrease('face_detection'), { pid: killed })
  await t.rejects(service.decrease('face_detection'), { code: 'LAST_WORKER' })
  mend()
  t.equal((await service.run('face_detection', jobOf(face))).pid, kept)
  t.strictSame([service.workers().length, isAlive(kept)], [1, true])
})

t.test('a request without a deadline does not wait for ever for a worker, nor does a close for the request',
  async (t) => {
    const { service } = await withBrokenModel(t, 1)
    process.kill(service.workers()[0]?.pid as number, 'SIGKILL')
    t.ok(await until(() => service.workers().length === 0))
    const waiting = service.run('face_detection', jobOf(face)).catch((error: unknown) => error)
    await service.close()
    t.match(await waiting, {
      code: 'NO_WORKER', message: /face_detection has no worker, and none can be started: .*version-RFB-320/,
    })
  })
