/** Workers die, in every way they can; what was promised to a caller is kept. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { annotate } from '../../../lib/index.js'
import { resolveModel } from '../../../lib/models/index.js'
import { openLimits } from '../../../lib/workers/limits/index.js'
import { HostFiles } from '../../../lib/host/host-files.js'
import {
  bitmap, children, directoriesOf, encoded, face, isAlive, jobOf, Load, noLimits, people, start, until,
} from '../helpers.js'

t.test('killed while idle, and while it runs: replaced, and the job is run on another', async (t) => {
  const { service, lines } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const pids = (): number[] => service.workers().map(({ pid }) => pid)
  const [idle] = pids() as [number]
  process.kill(idle, 'SIGKILL')
  t.ok(await until(() => pids().length === 2 && !pids().includes(idle)), 'replaced')
  t.match(lines.find(({ level }) => level === 50), { msg: /was ended by SIGKILL; replacing it/, pid: idle })

  const long = { images: Array.from({ length: 20 }, () => encoded(people)) }
  const outcome = service.run('face_detection', long)
  const killed: number[] = []
  for (let i = 0; i < 3; i++) {
    const busy = (): number | undefined => service.workers().find(({ taskToDo }) => taskToDo > 0)?.pid
    t.ok(await until(() => busy() !== undefined))
    await sleep(50)
    killed.push(busy() as number)
    process.kill(killed.at(-1) as number, i === 0 ? 'SIGSEGV' : 'SIGKILL')
    await until(() => !isAlive(killed.at(-1) as number))
    await until(() => !pids().includes(killed.at(-1) as number))
  }
  const { pid, items } = await outcome
  t.notOk(killed.includes(pid))
  t.equal(items.length, 20)
  t.ok(lines.some(({ msg }) => /SIGSEGV/.test(msg)))
})

t.test('killed again and again under load: no request fails', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const load = new Load(6, () => service.run('face_detection', jobOf(face)))
  const killed = new Set<number>()
  while (killed.size < 12) {
    await sleep(300)
    const workers = service.workers()
    const victim = workers[killed.size % workers.length]
    if (!victim || killed.has(victim.pid)) continue
    process.kill(victim.pid, 'SIGKILL')
    killed.add(victim.pid)
  }
  const kills = killed.size
  t.ok(await until(() => load.done > kills))
  await load.stop()
  t.strictSame(load.errors, [])
  t.ok(await until(() => service.workers().length === 2))
  t.equal(service.workers()[0]?.restarts, kills)
})

t.test('out of memory: named in the log, replaced under its own limits; only what caused it fails', { skip: noLimits },
  async (t) => {
    const { service, limits, lines } = await start(t, { tasks: { face_detection: { workers: 1 } } })
    const { cpus, memoryNodes, memoryBytes } = limits.capacity
    const pid = service.workers()[0]?.pid as number
    await service.run('face_detection', jobOf(people))
    const limit = (body: Record<string, unknown>) => service.limitProcess(pid, 'face_detection', body)
    const refusal: unknown = await limit({ mem_limit: 2 ** 20 / memoryBytes }).catch((error: unknown) => error)
    const { usedBytes } = (refusal as { details: { usedBytes: number } }).details
    await limit({
      cpu_util_limit: 0.9, mem_limit: (usedBytes + 60 * 2 ** 20) / memoryBytes,
      cpu_set_cpus: cpus.slice(-1), cpu_set_mems: memoryNodes,
    })
    const before = service.workers()[0]
    const fatal = service.run('face_detection', jobOf(bitmap(7000, 7000, 200)))
    const behind = service.run('face_detection', jobOf(people))
    await t.rejects(fatal, { code: 'WORKER_DIED', message: /2 workers died of the request/ })
    const after = await behind
    t.equal(lines.filter(({ msg }) => /ran out of memory under its limit/.test(msg)).length, 2)
    t.equal(lines.find(({ oomKills }) => oomKills)?.oomKills, 1)
    t.notOk(after.pid === pid, 'the job behind it was answered by the second in its place')
    const [worker] = service.workers()
    t.match([worker?.cpuUtilLimit, worker?.memUtilLimit], [before?.cpuUtilLimit, before?.memUtilLimit])
    t.equal(allowedCpus(worker?.pid as number), `${cpus.at(-1)}`)

    await service.limitTask('face_detection', { cpu_set_cpus: cpus, mem_limit: 1, cpu_util_limit: 1 })
    process.kill(worker?.pid as number, 'SIGKILL')
    t.ok(await until(() => service.workers().length === 1 && service.workers()[0]?.pid !== worker?.pid))
    t.match(service.workers()[0], { cpuUtilLimit: 1, memUtilLimit: 1 })
    t.equal(allowedCpus(service.workers()[0]?.pid as number)?.split(/[-,]/).length, Math.min(cpus.length, 2))
  })

t.test('a task limit lowered while a worker is replaced does not hinder it', { skip: noLimits }, async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 1 } } })
  const pid = service.workers()[0]?.pid as number
  await service.limitProcess(pid, undefined, { cpu_util_limit: 0.8 })
  process.kill(pid, 'SIGKILL')
  await until(() => service.workers().length === 0)
  const waiting = service.run('face_detection', jobOf(face))
  await service.limitTask('face_detection', { cpu_util_limit: 0.6 })
  t.equal((await waiting).limits.cpuUtilLimit, 0.6)
})

t.test('a model that no longer loads: tried less and less often, the others serve meanwhile', async (t) => {
  const { paths: [source] } = await resolveModel('ultraface-rfb-320', { task: 'face_detection', download: false })
  const model = join(t.testdir(), 'version-RFB-320.onnx')
  copyFileSync(source as string, model)
  const { service, lines } = await start(t, {
    tasks: { face_detection: { workers: 2, modelContext: { weights: model } } },
  })
  writeFileSync(model, 'no model')
  process.kill(service.workers()[0]?.pid as number, 'SIGKILL')
  const load = new Load(2, () => service.run('face_detection', jobOf(face)))
  const waits = (): number[] => lines.flatMap(({ msg }) => /trying again in (\d+) ms/.exec(msg)?.[1] ?? []).map(Number)
  t.ok(await until(() => waits().length >= 3))
  t.strictSame(waits().slice(0, 3), [100, 200, 400])
  copyFileSync(source as string, model)
  t.ok(await until(() => service.workers().length === 2), 'replaced once it loads again')
  await load.stop()
  t.strictSame(load.errors, [])
  t.equal(service.workers().length, 2)
})

t.test('one that is stopped is killed, and its jobs are run', async (t) => {
  const { service, lines } = await start(t, { tasks: { face_detection: { workers: 2 } }, stuckAfterMs: 1500 })
  const stopped = service.workers()[0]?.pid as number
  process.kill(stopped, 'SIGSTOP')
  const jobs = await Promise.all(Array.from({ length: 12 }, () => service.run('face_detection', jobOf(face))))
  t.notOk(jobs.some(({ pid }) => pid === stopped))
  t.ok(lines.some(({ msg, pid }) => pid === stopped && /did nothing for 1500 ms/.test(msg)))
})

t.test('one that is merely slow is left alone', { skip: noLimits }, async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 1 } }, stuckAfterMs: 1500 })
  const pid = service.workers()[0]?.pid as number
  await service.limitTask('face_detection', { cpu_util_limit: 0.02 })
  const began = Date.now()
  await service.run('face_detection', { images: Array.from({ length: 20 }, () => encoded(face)) })
  t.ok(Date.now() - began > 1500, 'a job longer than that')
  t.ok(isAlive(pid))
})

t.test('a worker still running a cancelled request after 10 × stuckAfterMs is killed', { skip: noLimits },
  async (t) => {
    const { service, lines } = await start(t, { tasks: { face_detection: { workers: 1 } }, stuckAfterMs: 1000 })
    const noise = randomBytes(7000 * 7000 * 3).map((byte) => byte & 1)
    const raw = { data: noise, width: 7000, height: 7000, channels: 3 as const }
    const picture = await annotate(raw, { objects: [] }, { type: '.png' })
    await service.limitTask('face_detection', { cpu_util_limit: 0.01 })
    const { pid } = service.workers()[0] as { pid: number }
    const [before, caller] = [anonymousBytes(pid), new AbortController()]
    const huge = service.run('face_detection', jobOf(picture), { signal: caller.signal })
    t.ok(await until(() => anonymousBytes(pid) > before + 10 * 2 ** 20), 'it decodes a PNG, which cannot be stopped')
    caller.abort()
    await t.rejects(huge, { code: 'ABORTED' })
    t.equal(service.workers()[0]?.taskToDo, 1, 'and takes half a minute at so small a limit')
    t.ok(await until(() => lines.some(({ msg }) => /still runs a cancelled request after 10000 ms/.test(msg))))
  })

const SERVER = `
const { startWorkers } = await import(process.argv[1])
const { readFileSync } = await import('node:fs')
const log = { info() {}, warn() {}, error() {} }
const service = await startWorkers({ tasks: { face_detection: { workers: 2 } }, download: false, log })
const data = readFileSync(process.argv[2])
const images = Array.from({ length: 500 }, () => ({ kind: 'encoded', data }))
service.run('face_detection', { images }).catch(() => {})
console.log(JSON.stringify({ group: service.limits.serverGroup, pids: service.workers().map(({ pid }) => pid) }))
`

t.test('no worker outlives its server, and the next one removes what is left of it', async (t) => {
  const module = new URL('../../../lib/workers/index.js', import.meta.url).href
  const file = join(t.testdir({ 'face.jpg': face }), 'face.jpg')
  const server = spawn(process.execPath, ['--input-type=module', '-e', SERVER, module, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(server.stdout, 'data') as [Buffer]
  const { group, pids } = JSON.parse(`${line}`) as { group: string; pids: number[] }
  t.strictSame(children(server.pid).sort(), pids.sort())
  server.kill('SIGKILL')
  await once(server, 'exit')
  t.ok(await until(() => !pids.some(isAlive)), 'idle or busy, they end by themselves')
  const next = await openLimits()
  t.strictSame(directoriesOf(group), [])
  await next.close()
})

function allowedCpus(pid: number): string | undefined {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(new HostFiles().read(`/proc/${pid}/status`))?.[1]
}

function anonymousBytes(pid: number): number {
  return 1024 * Number(/^RssAnon:\s*(\d+) kB$/m.exec(new HostFiles().read(`/proc/${pid}/status`))?.[1])
}
