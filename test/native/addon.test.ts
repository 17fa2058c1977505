/** Wrong arguments straight into the addon, past what TypeScript and lib/tasks check: an error each, never a crash. */
import { once } from 'node:events'
import { closeSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { types } from 'node:util'
import t from 'tap'
import { isErrorCode } from '../../lib/errors.js'
import {
  addonPaths, loadRuntime, native, type NativeImage, type NativeJobServer, type NativeMark, type NativeSession,
} from '../../lib/native.js'
import { sparse, writeConstantModel } from '../helpers/onnx.js'
import { runScript } from '../helpers/script.js'
import { libraryUrl } from '../helpers/shared.js'

type Callable = (...values: unknown[]) => unknown

const addon = createRequire(import.meta.url)(addonPaths()[0] as string) as Record<string, Callable>
const directory = t.testdir()
const shape = [1, 252, 6]
const path = writeConstantModel(join(directory, 'model.onnx'), [{ name: 'images', shape: [1, 3, 64, 64] }], [
  { name: 'output', shape, values: sparse(shape, [0, 32], [1, 32], [2, 40], [3, 40], [4, 1], [5, 1]) },
])
const options = {
  modelPaths: [path], family: 'yolov5', device: { kind: 'cpu', index: 0 }, fallbackToCpu: false, intraOpThreads: 1,
  allowSpinning: false, concurrency: 1,
  preprocessing: { resize: 'stretch', channelOrder: 'rgb', mean: [0, 0, 0], scale: [1, 1, 1], pad: 0 },
}
const detect = { scoreThreshold: 0.25, iouThreshold: 0.45, maxDetections: 10 }
const raw: NativeImage = {
  kind: 'raw', data: new Uint8Array(64 * 64 * 3), width: 64, height: 64, channels: 3, order: 'rgb',
}
const wrong = [undefined, null, 0, -1, NaN, Infinity, 1.5, '', 'x', true, [], {}, () => 0, Symbol('s'), 10n,
  new Date(), new Uint8Array(3)]

loadRuntime()

/** Calls and reports what came of it: the promise's outcome, or the error thrown at once. */
async function outcomeOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error
  }
}

/** Each function and method, and arguments that it takes. */
function functionsOf(session: NativeSession & Record<string, Callable>): [string, Callable, unknown[]][] {
  return [
    ['createSession', addon.createSession as Callable, [options]],
    ['annotate', addon.annotate as Callable, [raw, [], '.jpg', 90]],
    ['createSharedMemory', addon.createSharedMemory as Callable, [4096]],
    ['releaseSharedPages', addon.releaseSharedPages as Callable, [1_000_000, 0, 4096]],
    ['openJobServer', addon.openJobServer as Callable, [0, 1_000_000]],
    ['extractImages', addon.extractImages as Callable, [Buffer.from('{}')]],
    ['encodeBytesLiteral', addon.encodeBytesLiteral as Callable, [new Uint8Array(3)]],
    ['reclaim', addon.reclaim as Callable, [new Uint8Array(3)]],
    ['loadRuntime', addon.loadRuntime as Callable, ['none.so']],
    ['detect', (session.detect as Callable).bind(session), [raw, detect, 1]],
    ['headPose', (session.headPose as Callable).bind(session), [[raw], { margin: 0 }, 1]],
    ['cancel', (session.cancel as Callable).bind(session), [1]],
    ['inputSizeFor', (session.inputSizeFor as Callable).bind(session), [64, 64]],
  ]
}

t.test('the runtime reports nothing to its maker', async (t) => {
  const home = t.testdir()
  const { code, stdout, stderr } = await runScript(`
    import { readdirSync, readFileSync } from 'node:fs'
    import { setTimeout as sleep } from 'node:timers/promises'
    import { loadRuntime } from '${libraryUrl('index.js')}'
    const threads = () => readdirSync('/proc/self/task')
    const before = threads()
    loadRuntime()
    await sleep(200)
    const started = threads().filter((id) => !before.includes(id))
    console.log(started.map((id) => readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim()).join(' '))`,
  [], 240_000, { HOME: home, XDG_CACHE_HOME: home })
  t.equal(code, 0, stderr)
  t.match(stdout, /^(edge-infer ?)+\n$/, 'no thread is started but the addon\'s own')
  t.strictSame(readdirSync(home), [], 'no device id and no events are kept')
})

t.test('every error code of the addon has an entry in the table of errors', (t) => {
  const codes = addon.errorCodes?.() as string[]
  t.ok(codes.length >= 10, `${codes.length} codes`)
  t.strictSame(codes.filter((code) => !isErrorCode(code)), [])
  t.end()
})

t.test('every argument of every function', async (t) => {
  const session = await addon.createSession?.(options) as NativeSession & Record<string, Callable>
  for (const [name, call, good] of functionsOf(session)) {
    let refused = 0
    for (const [index] of good.entries()) {
      for (const value of wrong) {
        const error = await outcomeOf(() => call(...good.map((other, at) => (at === index ? value : other))))
        if (error === undefined) continue
        refused++
        if (!(error instanceof Error)) t.fail(`${name}: ${String(error)}`)
        else if (!(error instanceof TypeError) && !('code' in error)) t.fail(`${name}: ${error.message}`)
      }
    }
    t.ok(refused >= 8, `${name} refused ${refused} values`)
    t.ok(await outcomeOf(() => call()) instanceof Error, `${name} without arguments`)
  }
  t.equal((await session.detect(raw, detect, 2)).scores.length, 1, 'it still works')
  t.equal(session.pending, 0)
  await session.close()
})

t.test('objects of another kind, and externals of another maker, are told apart', async (t) => {
  const session = await addon.createSession?.(options) as NativeSession & Record<string, Callable>
  const { fd } = addon.createSharedMemory?.(4096) as { fd: number }
  const jobs = addon.openJobServer?.(fd, fd) as NativeJobServer
  closeSync(fd)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  const external = (socket as unknown as { _handle: { _externalStream: unknown } })._handle._externalStream
  t.ok(types.isExternal(external), 'an external of Node itself')
  const natives: object[] = [session, jobs]
  for (const object of natives) {
    const Class = object.constructor as new (...values: unknown[]) => unknown
    for (const values of [[], [external], [session], [{}], [external, external], [0, 0]]) {
      t.throws(() => new Class(...values), TypeError, `new ${Class.name}(${values.length})`)
    }
    t.throws(() => (Class as unknown as Callable).call({}, external), TypeError)
    for (const [name, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(Class.prototype))) {
      if (name === 'constructor') continue
      const method = (value ?? get) as Callable
      const strangers = [{}, external, Object.create(object), new Proxy(object, {}), undefined, 1]
      for (const other of [...natives.filter((native) => native !== object), ...strangers]) {
        t.throws(() => method.call(other, raw, detect, 1), TypeError, `${Class.name}.${name}`)
      }
    }
  }
  const methods: [string, Callable, unknown[]][] = [
    ['serveJobs', session.serveJobs.bind(session) as Callable, [jobs, { labels: [] }]],
    ['calibrate', session.calibrate.bind(session) as Callable, [raw, 1]],
    ['cancel of jobs', jobs.cancel.bind(jobs) as Callable, [1]],
  ]
  for (const [name, call, good] of [...functionsOf(session), ...methods]) {
    for (const index of good.keys()) {
      for (const stranger of [external, ...natives, addon, session.constructor]) {
        if (name === 'serveJobs' && index === 0 && stranger === jobs) continue
        const error = await outcomeOf(() => call(...good.map((other, at) => (at === index ? stranger : other))))
        t.type(error, TypeError, `${name}, argument ${index}`)
      }
    }
  }
  const disguised = Object.setPrototypeOf({}, jobs.constructor.prototype as object) as NativeJobServer
  const closed = await addon.createSession?.(options) as NativeSession
  await closed.close()
  const wronglyNamed = Object.setPrototypeOf(closed, jobs.constructor.prototype as object) as NativeJobServer
  for (const other of [disguised, wronglyNamed, session, external, {}, undefined] as NativeJobServer[]) {
    t.throws(() => session.serveJobs(other, { labels: [] }), {
      name: 'TypeError', message: /^Expected a job server but received/,
    })
  }
  socket.destroy()
  server.close()
  await session.close()
})

t.test('descriptors: errors say what failed, and none is left open', async (t) => {
  const open = (): number => readdirSync('/proc/self/fd').length
  const before = open()
  for (let i = 0; i < 50; i++) {
    t.throws(() => native.createSharedMemory(2 ** 52), { code: 'INTERNAL', message: /^(mmap|ftruncate) failed: / })
    t.throws(() => native.openJobServer(0, 1_000_000), {
      code: 'INTERNAL', message: 'fstat failed: Bad file descriptor',
    })
    t.throws(() => native.openJobServer(0, 0), { code: 'INTERNAL' })
  }
  t.equal(open(), before)
  t.throws(() => native.createSharedMemory(-1), {
    name: 'TypeError', message: 'Expected a whole number from 1 to 9007199254740991 as the bytes of a shared memory ' +
      'but received -1 of type number',
  })
})

t.test('a session serves one job server at a time, and a job server one session', async (t) => {
  const first = await addon.createSession?.(options) as NativeSession
  const second = await addon.createSession?.(options) as NativeSession
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  t.teardown(() => {
    socket.destroy()
    server.close()
  })
  const { fd } = native.createSharedMemory(4096)
  t.teardown(() => closeSync(fd))
  const jobs = native.openJobServer((socket as unknown as { _handle: { fd: number } })._handle.fd, fd)
  t.teardown(() => Promise.all([first.close(), second.close()]))
  const serving = first.serveJobs(jobs, { labels: [], faceMargin: 0.3 })
  t.throws(() => first.serveJobs(jobs, { labels: [] }), { code: 'INTERNAL', message: /serves jobs already/ })
  t.throws(() => jobs.cancel(-1), TypeError)
  t.throws(() => jobs.cancel(NaN), TypeError)
  jobs.cancel(1)
  // Whichever thread comes second is refused.
  const outcomes = [serving, second.serveJobs(jobs, { labels: [] })].map((served) => outcomeOf(() => served))
  t.match(await Promise.race(outcomes), { code: 'INTERNAL', message: /^Another session serves these jobs already/ })
  await Promise.all([first.close(), second.close()])
  t.equal((await Promise.all(outcomes)).filter((outcome) => outcome === undefined).length, 1, 'the other served')
  await t.rejects(second.serveJobs(jobs, { labels: [] }), { code: 'CLOSED' })
})

t.test('every option of a session, of an image and of a call', async (t) => {
  const session = await addon.createSession?.(options) as NativeSession & Record<string, Callable>
  const objects: [string, object, (value: object) => unknown, string[]][] = [
    ['session', { ...options, classCount: 1, inputSize: { width: 64, height: 64 } },
      (value) => addon.createSession?.(value), []],
    ['preprocessing', options.preprocessing, (value) => addon.createSession?.({
      ...options, preprocessing: value,
    }), []],
    ['image', raw, (value) => session.detect(value as NativeImage, detect, 1), []],
    ['call', { ...detect, classes: [0], crops: { margin: 0.3, quality: 90 }, fullDecode: true },
      (value) => session.detect(raw, value as typeof detect, 1), []],
    ['mark', { box: [1, 2, 3, 4], label: 'x', classId: 1, pose: [1, 2, 3] },
      (value) => addon.annotate?.(raw, [value], '.png', 90), []],
  ]
  for (const [name, good, call] of objects) {
    t.equal(await outcomeOf(() => call(good)), undefined, name)
    for (const key of Object.keys(good)) {
      for (const value of wrong) {
        const error = await outcomeOf(() => call({ ...good, [key]: value }))
        if (error !== undefined && !(error instanceof TypeError) && !(error instanceof Error && 'code' in error)) {
          t.fail(`${name}.${key}: ${String(error)}`)
        }
      }
    }
  }
  for (const [key, value] of [['concurrency', 0], ['intraOpThreads', 0], ['modelPaths', [1]], ['device', {
    kind: 'tpu', index: 0,
  }]] as const) {
    t.throws(() => addon.createSession?.({ ...options, [key]: value }), TypeError, key)
  }
  await t.rejects(async () => session.headPose([raw], { boxes: new Float64Array(3), margin: 0 }, 1), TypeError)
  await session.close()
})

t.test('pictures are drawn on and encoded', async (t) => {
  const marks: NativeMark[] = [
    { box: [4, 4, 40, 40], label: 'head 0.9', classId: 1, pose: [30, -10, 5] },
    { box: [-1e9, -1e300, 1e9, 1e300], label: 'x'.repeat(1000), pose: [1e30, 0, 0] },
    { box: [NaN, 0, 1, Infinity] },
  ]
  const [jpeg, png, webp, bmp] = await Promise.all(['.jpg', '.png', '.webp', '.bmp'].map(
    (type) => native.annotate(raw, marks, type),
  ))
  t.equal(jpeg?.readUInt16BE(0), 0xffd8)
  t.equal(png?.toString('latin1', 1, 4), 'PNG')
  t.equal(webp?.toString('latin1', 8, 12), 'WEBP')
  t.equal(bmp?.toString('latin1', 0, 2), 'BM')
  const pixels = await native.annotate(raw, marks, 'raw')
  t.equal(pixels.length, raw.data.length)
  t.ok(pixels.some((value) => value > 0), 'something is drawn')
  t.ok(raw.data.every((value) => value === 0), 'the given picture is left alone')
  await t.rejects(native.annotate(raw, [], '.gif'), { code: 'BAD_OPTION', message: /received \.gif/ })
  const wide: NativeImage = {
    kind: 'raw', data: new Uint8Array(70_000), width: 70_000, height: 1, channels: 1, order: 'rgb',
  }
  await t.rejects(native.annotate(wide, [], '.jpg'), {
    code: 'TOO_LARGE', message: /70000x1 is larger than the format/,
  })
})
