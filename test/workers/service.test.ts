/** Workers come and go by order, and nothing is left when the service ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startWorkers } from '../../lib/workers/index.js'
import { writeFaceModel } from '../helpers/models.js'
import { street } from '../helpers/pictures.js'
import {
  children, directoriesOf, encoded, face, isAlive, jobOf, Load, openDescriptors, people, recordingLog, start,
  until,
} from './helpers.js'

t.test('a worker is added with the running ones\' parameters, or its own; what is wrong leaves nothing',
  async (t) => {
    const constant = writeFaceModel(t.testdir(), 'ultraface-constant')
    const { service, limits } = await start(t, {
      tasks: { face_detection: { workers: 1, modelContext: { conf_thres: 0.97, weights: constant } } },
    })
    const before = { children: children(), groups: directoriesOf(limits.serverGroup), fds: openDescriptors() }
    const refused: [unknown, string, RegExp?][] = [
      [{ weights: 'no-such-model' }, 'UNKNOWN_MODEL'],
      [{ weights: 'yolov5n' }, 'MODEL_UNAVAILABLE'],
      [{ weights: 'yolov8n' }, 'BAD_MODEL_CTX'],
      [{ weights: 7 }, 'BAD_MODEL_CTX'],
      [{ conf_thres: 1.5 }, 'BAD_MODEL_CTX'],
      [{ iou_thres: '0.4' }, 'BAD_MODEL_CTX'],
      [{ max_det: 0 }, 'BAD_MODEL_CTX'],
      [{ classes: [-1] }, 'BAD_MODEL_CTX'],
      [{ input_size: [1] }, 'BAD_MODEL_CTX'],
      [{ device: 'abacus' }, 'BAD_MODEL_CTX'],
      [{ device: 'cuda:0' }, 'PROVIDER_UNAVAILABLE'],
      [{ weights: 'yolov8n', input_size: 321 }, 'BAD_MODEL_CTX', /in steps of 32 pixels but received 321 x 321/],
      [{ input_size: 100 }, 'BAD_MODEL_CTX', /own input, 320 x 240, .*received 100 x 100/],
      ['yolov8n', 'BAD_MODEL_CTX'],
    ]
    for (const [context, code, message = /./] of refused) {
      const { weights, input_size } = context as { weights?: unknown; input_size?: unknown }
      const isForCars = weights === 'yolov5n' || (weights === 'yolov8n' && input_size !== undefined)
      const task = isForCars ? 'car_detection' : 'face_detection'
      await t.rejects(service.add(task, context as Record<string, unknown>), { code, message }, JSON.stringify(context))
    }
    await t.rejects(service.add('chess' as 'face_detection'), { code: 'UNKNOWN_TASK', status: 404 })
    t.strictSame([service.tasks, service.workers().length], [['face_detection'], 1])
    t.strictSame(children(), before.children)
    t.strictSame(openDescriptors(), before.fds)

    const same = await service.add('face_detection')
    t.match(same, { task: 'face_detection', model: 'ultraface-constant', taskToDo: 0, latency: undefined })
    const own = await service.add('face_detection', { conf_thres: 0.01, device: null, unknown: 'ignored' })
    t.equal(own.model, 'ultraface-rfb-320')
    const answers = await Promise.all(Array.from({ length: 30 }, () => service.run('face_detection', jobOf(people))))
    const boxes = new Map(answers.map(({ pid, items: [item] }) => [pid, item?.boxes.length ?? -1]))
    t.equal(boxes.size, 3, 'all have a part of the work')
    t.ok((boxes.get(own.pid) ?? 0) > (boxes.get(same.pid) ?? 99), 'the added one has a threshold of its own')

    process.kill(same.pid, 'SIGKILL')
    await until(() => !service.workers().some(({ pid }) => pid === same.pid))
    t.ok(await until(() => service.workers().length === 3))
    t.strictSame(service.workers().map(({ model }) => model).sort(),
      ['ultraface-constant', 'ultraface-constant', 'ultraface-rfb-320'], 'like is replaced by like')
  })

t.test('the newest goes first, when it has done what it has; the last one stays', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 1 } } })
  const first = service.workers()[0]?.pid as number
  const second = await service.add('face_detection')
  const long = { images: Array.from({ length: 15 }, () => encoded(people)) }
  const jobs = Array.from({ length: 4 }, () => service.run('face_detection', { ...long, crops: true, render: true }))
  await until(() => service.workers().every(({ taskToDo }) => taskToDo > 0))
  t.strictSame(await service.decrease('face_detection'), { pid: second.pid })
  t.notOk(isAlive(second.pid))
  await t.rejects(service.decrease('face_detection'), { code: 'LAST_WORKER', status: 409 })
  const done = await Promise.all(jobs)
  t.ok(done.some(({ pid }) => pid === second.pid), 'it finished what it ran')
  t.ok(done.every(({ items }) => items.length === 15))
  t.equal(service.workers()[0]?.pid, first)
  t.equal(service.workers()[0]?.restarts, 0)
  await t.rejects(service.decrease('car_detection'), { code: 'NO_WORKER' })
})

t.test('fifty steps of every kind under load: nothing is lost, nothing is left', async (t) => {
  const descriptors = openDescriptors()
  const { service, limits } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const load = new Load(6, () => service.run('face_detection', jobOf(face)))
  let seed = 20240607
  const random = (below: number): number => (seed = seed * 48271 % 0x7fffffff) % below
  const steps: Promise<unknown>[] = []
  const taken = { add: 0, decrease: 0, limit: 0, kill: 0, refused: new Set<string>() }
  for (let i = 0; i < 50; i++) {
    const workers = service.workers()
    const one = workers[random(Math.max(1, workers.length))]
    const kind = workers.length > 3 ? 'decrease' : (['add', 'decrease', 'limit', 'limit', 'kill'] as const)[random(5)]
    const share = (50 + random(50)) / 100
    taken[kind ?? 'limit'] += 1
    const step = kind === 'add' ? service.add('face_detection')
      : kind === 'decrease' ? service.decrease('face_detection')
        : kind === 'kill' ? Promise.resolve(one && isAlive(one.pid) && process.kill(one.pid, 'SIGKILL'))
          : one && i % 2 ? service.limitProcess(one.pid, undefined, { cpu_util_limit: share })
            : service.limitTask('face_detection', { cpu_util_limit: share })
    steps.push(step.catch(({ code }: { code: string }) => taken.refused.add(code)))
    await sleep(random(200))
  }
  await Promise.all(steps)
  await load.stop()
  t.strictSame(load.errors, [])
  for (const code of ['LAST_WORKER', 'BAD_LIMIT', 'UNKNOWN_PID', 'CGROUP_UNAVAILABLE', 'WORKER_DIED', 'NO_WORKER']) {
    taken.refused.delete(code)
  }
  t.strictSame([...taken.refused], [])
  const pids = children()
  await service.close()
  t.notOk(pids.some(isAlive))
  t.strictSame([children(), directoriesOf(limits.serverGroup), openDescriptors()], [[], [], descriptors])
})

t.test('closing drains, and a second close hurries; nothing is left', async (t) => {
  const descriptors = openDescriptors()
  const { service, limits } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const jobs = Array.from({ length: 20 }, () => service.run('face_detection', jobOf(people, { crops: true })))
  const [closed, again] = [service.close(), service.close()]
  await t.rejects(service.run('face_detection', jobOf(face)), { code: 'CLOSED', status: 503 })
  await t.rejects(service.add('face_detection'), { code: 'CLOSED' })
  await t.rejects(service.limitTask('face_detection', { cpu_util_limit: 0.5 }), { code: 'CLOSED' })
  t.equal((await Promise.all(jobs)).length, 20, 'what was promised is done')
  await Promise.all([closed, again])
  await t.rejects(service.run('face_detection', jobOf(face)), { code: 'CLOSED' })
  t.strictSame([children(), directoriesOf(limits.serverGroup), openDescriptors()], [[], [], descriptors])

  const second = await start(t, { tasks: { face_detection: { workers: 1 } } })
  const long = { images: Array.from({ length: 200 }, () => encoded(people)) }
  const held = Array.from({ length: 5 }, () => second.service.run('face_detection', long))
  const refused = held.map((job) => t.rejects(job, { code: 'CLOSED' }))
  const draining = second.service.close()
  await sleep(50)
  await second.service.close({ now: true })
  await Promise.all([draining, ...refused])
  t.strictSame([children(), directoriesOf(second.limits.serverGroup), openDescriptors()], [[], [], descriptors])
})

t.test('closing while workers start, are added or are replaced', async (t) => {
  const descriptors = openDescriptors()
  const { log } = recordingLog()
  for (const milliseconds of [0, 20, 150]) {
    const signal = AbortSignal.timeout(milliseconds)
    const options = { tasks: { face_detection: { workers: 2 } }, download: false, log, signal }
    await t.rejects(startWorkers(options), { code: 'ABORTED' }, `cancelled after ${milliseconds} ms`)
    t.strictSame([children(), openDescriptors()], [[], descriptors])
  }
  const { service, limits } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const added = t.rejects(service.add('face_detection'), { code: 'CLOSED' })
  process.kill(service.workers()[0]?.pid as number, 'SIGKILL')
  await until(() => service.workers().length === 1)
  await service.close()
  await added
  t.strictSame([children(), directoriesOf(limits.serverGroup), openDescriptors()], [[], [], descriptors])

  const last = await start(t, { tasks: { face_detection: { workers: 1 } } })
  process.kill(last.service.workers()[0]?.pid as number, 'SIGKILL')
  await until(() => last.service.workers().length === 0)
  const promised = last.service.run('face_detection', jobOf(face))
  const closed = last.service.close()
  t.equal((await promised).items.length, 1, 'a replacement is waited for where something was promised')
  await closed
  t.strictSame([children(), directoriesOf(last.limits.serverGroup), openDescriptors()], [[], [], descriptors])
})

t.test('a task that cannot start is noted, and served once a worker is added', async (t) => {
  const { log } = recordingLog()
  const options = { download: false, log, tasks: { face_detection: { workers: 1 }, car_detection: { workers: 1,
    modelContext: { weights: 'yolov5n' } } } }
  const service = await startWorkers(options)
  t.teardown(() => service.close({ now: true }))
  t.strictSame([service.tasks, [...service.unavailable.keys()]], [['face_detection'], ['car_detection']])
  t.notOk(service.ready)
  t.match(service.missing.get('car_detection'), { state: 'failed', why: /yolov5n/ })
  await t.rejects(service.run('car_detection', jobOf(people)), { code: 'NO_WORKER', message: /yolov5n/ })
  const added = await service.add('car_detection', { weights: 'yolov8n', classes: [2] })
  t.match([added.model, service.unavailable.size, service.ready], ['yolov8n', 0, true])
  const { items: [item] } = await service.run('car_detection', jobOf(street))
  t.strictSame(item?.classIds, [2], 'only the classes asked for')
})

t.test('a worker that is stopped from outside hinders neither its removal nor the close', async (t) => {
  const { service, lines } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const pids = service.workers().map(({ pid }) => pid) as [number, number]
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  t.strictSame(await service.decrease('face_detection'), { pid: pids[1] })
  await service.close()
  t.notOk(pids.some(isAlive))
  t.equal(lines.filter(({ msg }) => /has not ended 5000 ms after it was asked to: killing it/.test(msg)).length, 2)
})

t.test('a worker that is killed while it starts is started again, and the start goes on meanwhile', async (t) => {
  const { log, lines } = recordingLog()
  const known = new Set(children())
  const killing = setInterval(() => {
    for (const pid of children()) if (!known.has(pid)) process.kill(pid, 'SIGKILL')
  }, 5)
  t.teardown(() => clearInterval(killing))
  const options = { tasks: { face_detection: { workers: 1 } }, download: false, background: true, log }
  const service = await startWorkers(options)
  t.teardown(() => service.close({ now: true }))
  t.notOk(service.ready)
  t.match(service.missing.get('face_detection'), {
    state: 'starting', why: /^its worker was ended by SIGKILL while it started; starting another/,
  })
  await t.rejects(service.run('face_detection', jobOf(face)), { code: 'STARTING', status: 503, message: /SIGKILL/ })
  clearInterval(killing)
  t.ok(await until(() => service.ready))
  t.strictSame([service.workers().length, service.workers()[0]?.restarts, service.missing.size], [1, 0, 0])
  t.ok(lines.some(({ msg }) => /while it started; starting another/.test(msg)))
})
