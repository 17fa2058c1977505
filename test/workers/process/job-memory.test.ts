/** The memory that a server shares with its workers. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import t from 'tap'
import type { NativeImage } from '../../../lib/native.js'
import { JobMemory } from '../../../lib/workers/process/job-memory.js'
import { cut, face, jpegOf, people, pixelsOf, sample, street } from '../../helpers/pictures.js'
import { jobOf, Load, start, until } from '../helpers.js'

const MEBIBYTE = 2 ** 20

/** Resident bytes of a process, by kind. */
function resident(pid: number | 'self', kind: 'RssAnon' | 'RssShmem'): number {
  return Number(new RegExp(`^${kind}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

function raw(width: number, height: number, level: number): NativeImage {
  const data = Buffer.alloc(width * height * 3, level)
  return { kind: 'raw', data, width, height, channels: 3, order: 'bgr' }
}

t.test('parts lie one behind the other in a slot of their own; without a free slot there is none', async (t) => {
  const memory = new JobMemory(2)
  const shared = openSync(`/proc/self/fd/${memory.fd}`, 'r')
  const at = (offset: number | undefined, bytes: number): string => {
    const read = Buffer.alloc(bytes)
    readSync(shared, read, 0, bytes, offset ?? 0)
    return read.toString('latin1')
  }
  const [first, second] = [memory.write([Buffer.from('ab'), Buffer.from('cde')]), memory.write([Buffer.from('xyz')])]
  t.equal(at(first?.offset, 5), 'abcde')
  t.equal(at(second?.offset, 3), 'xyz')
  t.equal(memory.write([Buffer.from('late')]), undefined)
  first?.release()
  const third = memory.write([Buffer.from('late')])
  t.equal(third?.offset, first?.offset)
  t.equal(memory.write([Buffer.alloc(257 * MEBIBYTE)]), undefined)

  const before = resident('self', 'RssShmem')
  second?.release()
  const large = memory.write([Buffer.alloc(64 * MEBIBYTE, 1)])
  t.ok(resident('self', 'RssShmem') - before > 60 * MEBIBYTE)
  large?.release()
  t.ok(resident('self', 'RssShmem') - before < 5 * MEBIBYTE, 'pages of a large job are given back')
  memory.write([Buffer.alloc(100 * MEBIBYTE, 1)])
  memory.close()
  memory.close()
  t.ok(resident('self', 'RssShmem') - before < 5 * MEBIBYTE, 'and all of them at the end')
  t.equal(memory.write([Buffer.from('after')]), undefined)
  closeSync(shared)
})

t.test('pictures in flight are never mixed up', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 2 } } })
  const whole = await sample('faces')
  const pixels = await pixelsOf(whole, 1920)
  const parts = [cut(pixels, 1300, 300, 400, 400), cut(pixels, 300, 800, 333, 444)]
  const pictures = [people, street, face, whole, await sample('car'), ...await Promise.all(parts.map(jpegOf))]
  const expected = await Promise.all(pictures.map(async (data) => JSON.stringify(
    (await service.run('face_detection', jobOf(data, { crops: true }))).items)))
  let [posted, wrong] = [0, 0]
  const load = new Load(12, async () => {
    const index = posted++ % pictures.length
    const run = await service.run('face_detection', jobOf(pictures[index] as Buffer, { crops: true }))
    if (JSON.stringify(run.items) !== expected[index]) wrong += 1
    return run
  })
  t.ok(await until(() => load.done >= 250))
  await load.stop()
  t.strictSame([load.errors, wrong], [[], 0])
})

t.test('three hundred pictures of ten megabytes leave the memory as it was', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 1 } } })
  const pid = service.workers()[0]?.pid as number
  const images = [raw(2000, 1700, 10), raw(1700, 2000, 200)]
  const post = (index: number) => service.run('face_detection', { images: [images[index % 2] as NativeImage] })
  const figures = (): number[] => (['RssAnon', 'RssShmem'] as const).flatMap((kind) =>
    [resident('self', kind), resident(pid, kind)])
  let posted = 0
  const run = async (count: number): Promise<void> => {
    const end = posted + count
    const client = async (): Promise<void> => {
      while (posted < end) {
        const index = posted++
        const { items: [item] } = await post(index)
        if (item?.width !== (index % 2 ? 1700 : 2000)) t.fail('a picture of the other size')
      }
    }
    await Promise.all([client(), client(), client()])
  }
  await run(50)
  const before = figures()
  await run(250)
  const grown = figures().map((bytes, index) => Math.round((bytes - (before[index] as number)) / MEBIBYTE))
  t.ok(grown.every((mebibytes) => mebibytes < 30), `MiB more in server and worker: own, own, shared, shared: ${grown}`)
})

t.test('what does not fit into a slot goes another way', async (t) => {
  const { service } = await start(t, { tasks: { face_detection: { workers: 1 } } })
  const images = Array.from({ length: 3 }, (_, index) => raw(6000, 5000, index))
  const { items } = await service.run('face_detection', { images })
  t.strictSame(items.map(({ width, height }) => [width, height]), [[6000, 5000], [6000, 5000], [6000, 5000]])
})
