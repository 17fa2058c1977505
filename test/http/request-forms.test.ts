/**
 * Random pictures in every form of the wire, to a server with real workers, against the library in this process; broken
 * requests are refused by a documented code, and the next one is right. PROPERTY_SEED repeats a run; the seed is in the
 * output.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ERROR_TABLE } from '../../lib/errors.js'
import { createTask } from '../../lib/index.js'
import { native } from '../../lib/native.js'
import { writeFaceModel } from '../helpers/models.js'
import { withOrientation } from '../helpers/pictures.js'
import { startServer, TEXT_FORMS } from './server.js'

const seed = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31)

/** Every run is bounded, also on a busy machine, and a failure says how to see it again. */
async function check<Ts extends [unknown, ...unknown[]]>(
  t: Test, numRuns: number, property: fc.IAsyncProperty<Ts>,
): Promise<void> {
  t.comment(`seed ${seed}`)
  const details = await fc.check(property, {
    seed, numRuns, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false,
  })
  t.notOk(details.failed, await fc.asyncDefaultReportMessage(details) ?? `${details.numRuns} requests`)
  t.ok(details.numRuns > 0, 'a busy machine cuts the run short, but there was one')
}

const model = writeFaceModel(t.testdir(), 'constant')
const { url } = await startServer(t, {
  tasks: { face_detection: { workers: 2, modelContext: { weights: model } } },
})
const library = await createTask('face_detection', { model, autoOrient: false })
t.teardown(() => library.close())

interface Picture {
  type: string
  file: Buffer
}

const TYPES = { '.jpg': 'image/jpeg', '.png': 'image/png', '.webp': 'image/webp', '.bmp': 'image/bmp' } as const

/** Noise, and pictures of one colour; a JPEG may say that it was taken sideways, which is ignored here. */
const picture = fc.tuple(
  fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }), fc.nat(2 ** 20),
  fc.constantFrom(...Object.keys(TYPES) as (keyof typeof TYPES)[]), fc.integer({ min: 1, max: 8 }),
).map(([width, height, noise, extension, orientation]) => async (): Promise<Picture> => {
  const data = Buffer.alloc(width * height * 3)
  for (let at = 0; at < data.length; at++) data[at] = (at * (noise % 4096) >>> 3) ^ noise
  const pixels = { kind: 'raw', data, width, height, channels: 3, order: 'bgr' } as const
  const file = await native.annotate(pixels, [], extension, 90)
  return { type: TYPES[extension], file: extension === '.jpg' ? withOrientation(file, orientation) : file }
})

interface Found {
  boxes: number[][]
  scores: number[]
  size: number[]
  crops: string[]
}

async function expectedOf({ file }: Picture): Promise<Found> {
  const { objects, width, height } = await library.run(file, { crops: true })
  return {
    boxes: objects.map(({ box }) => [...box]), scores: objects.map(({ score }) => score), size: [width, height],
    crops: objects.map(({ crop }) => (crop as Buffer).toString('base64')),
  }
}

interface Sent {
  path: string
  headers?: Record<string, string>
  body: Buffer | FormData
}

interface Reply {
  status: number
  body: Record<string, unknown>
}

async function send({ path, headers = {}, body }: Sent): Promise<Reply> {
  const response = await fetch(url + path, { method: 'POST', headers, body, signal: AbortSignal.timeout(60_000) })
  return { status: response.status, body: await response.json() as Reply['body'] }
}

const TASK = 'face_detection'
const INFER = `/v2/models/${TASK}/infer`
const json = (members: unknown): Buffer => Buffer.from(JSON.stringify(members))

async function nestedOf(file: Buffer): Promise<unknown> {
  const { width, height } = await library.run(file)
  const pixels = await native.annotate({ kind: 'encoded', data: file }, [], 'raw')
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) =>
    [...pixels.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)]))
}

type TextForm = keyof typeof TEXT_FORMS
const TEXT_FORM_NAMES = Object.keys(TEXT_FORMS) as TextForm[]

/** The picture as a member of the JSON. */
async function member(form: TextForm | 'nested', { file }: Picture): Promise<unknown> {
  return form === 'nested' ? nestedOf(file) : TEXT_FORMS[form](file)
}

/** One picture as an input of the Open Inference Protocol, whose bytes follow the JSON or are in it. */
function tensors({ file }: Picture, isBinary: boolean): Pick<Sent, 'headers' | 'body'> {
  const input = { name: 'image', datatype: 'BYTES', shape: [1] }
  if (!isBinary) return { body: json({ inputs: [{ ...input, data: [file.toString('base64')] }] }) }
  const length = Buffer.alloc(4)
  length.writeUInt32LE(file.length)
  const head = json({ inputs: [{ ...input, parameters: { binary_data_size: 4 + file.length } }] })
  return {
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': `${head.length}` },
    body: Buffer.concat([head, length, file]),
  }
}

/** Requests for one picture, by the name of their form. */
const FORMS: Readonly<Record<string, (picture: Picture, route: string) => Promise<Sent>>> = {
  ...Object.fromEntries([...TEXT_FORM_NAMES, 'nested' as const].flatMap((form) =>
    [undefined, 'application/json', 'text/plain'].map((type) => [`${form}, ${type ?? 'no type'}`,
      async (picture: Picture, route: string): Promise<Sent> => ({
        path: `/${route}/${TASK}`, headers: type ? { 'content-type': type } : {},
        body: json({ more: [1, { a: null }], image: await member(form, picture), task_conf: { fps: 3 } }),
      })]))),
  raw: async ({ type, file }, route) => ({ path: `/${route}/${TASK}`, headers: { 'content-type': type }, body: file }),
  multipart: async ({ file }, route) => {
    const body = new FormData()
    body.append('image', new Blob([file]), 'picture')
    return { path: `/${route}/${TASK}`, body }
  },
  'multipart, in its input': async (picture, route) => {
    const body = new FormData()
    body.append('input', json({ image: await member('base64', picture) }).toString())
    return { path: `/${route}/${TASK}`, body }
  },
  'tensor in JSON': async (picture) => ({ path: INFER, ...tensors(picture, false) }),
  'tensor behind JSON': async (picture) => ({ path: INFER, ...tensors(picture, true) }),
  'tensor alone': async ({ file }) => ({
    path: INFER, headers: { 'inference-header-content-length': '0' }, body: file,
  }),
}
const ROUTES = ['execute_task', 'execute_task_old', 'execute_task_new', 'concurrent_execute_task_new'] as const

/** Bytes of a crop of an answer, whatever form it came in. */
function cropOf(text: string): string {
  if (/^b['"]/.test(text)) {
    const decoded = text.slice(2, -1).replace(/\\(x[0-9a-f]{2}|.)/g, (_, escape: string) => escape.length === 3
      ? String.fromCharCode(parseInt(escape.slice(1), 16))
      : { n: '\n', r: '\r', t: '\t' }[escape] ?? escape)
    return Buffer.from(decoded, 'latin1').toString('base64')
  }
  if (text.startsWith('data:')) return text.slice(text.indexOf(',') + 1)
  return text.startsWith('ÿØ') ? Buffer.from(text, 'latin1').toString('base64') : text
}

function outputOf(body: Reply['body'], name: string): number[] {
  const outputs = body.outputs as { name: string; data: number[] }[]
  return outputs.find((output) => output.name === name)?.data ?? []
}

/** What an answer has found; crops where the route answers them. */
function foundIn({ body }: Reply): Partial<Found> {
  if (body.outputs) {
    const boxes = outputOf(body, 'boxes')
    return {
      boxes: boxes.length === 0 ? [] : [boxes], scores: outputOf(body, 'scores'), size: outputOf(body, 'image_size'),
    }
  }
  const { w, h } = (body.task_conf as { resolution: { w: number; h: number } }).resolution
  const crops = (body.faces as string[] | undefined)?.map(cropOf)
  return { boxes: body.bbox as number[][], scores: body.prob as number[], size: [w, h], ...(crops && { crops }) }
}

const near = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, index) => Math.abs(value - (b[index] as number)) < 1e-3)

function requireSame(found: Partial<Found>, expected: Found, what: string): void {
  const same = near(found.boxes?.flat() ?? [], expected.boxes.flat()) && near(found.scores ?? [], expected.scores) &&
    near(found.size ?? expected.size, expected.size) &&
    (found.crops === undefined || JSON.stringify(found.crops) === JSON.stringify(expected.crops))
  if (!same) throw new Error(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`)
}

async function requireRight(sent: Sent, expected: Found, what: string): Promise<void> {
  const reply = await send(sent)
  if (reply.status !== 200) throw new Error(`${what}: ${reply.status} ${JSON.stringify(reply.body)}`)
  requireSame(foundIn(reply), expected, what)
}

t.test('a picture in any form is answered as the library answers it', async (t) => {
  const form = fc.constantFrom(...Object.keys(FORMS))
  await check(t, 150, fc.asyncProperty(picture, form, fc.constantFrom(...ROUTES), async (make, name, route) => {
    const made = await make()
    const sent = await (FORMS[name] as (typeof FORMS)[string])(made, route)
    await requireRight(sent, await expectedOf(made), `${name} to ${route}`)
  }))
})

t.test('lists of different pictures, many at once, keep their order', async (t) => {
  const form = fc.constantFrom(...TEXT_FORM_NAMES, 'nested' as const)
  const list = fc.array(fc.tuple(picture, form), { minLength: 1, maxLength: 12 })
  const lists = fc.array(fc.tuple(list, fc.constantFrom(...ROUTES)), { minLength: 1, maxLength: 4 })
  await check(t, 10, fc.asyncProperty(lists, async (requests) => {
    await Promise.all(requests.map(async ([entries, route]) => {
      const made = await Promise.all(entries.map(async ([make, form]) => ({ picture: await make(), form })))
      const images = await Promise.all(made.map(({ picture, form }) => member(form, picture)))
      const reply = await send({ path: `/${route}/${TASK}`, body: json({ image_list: images }) })
      const answers = reply.body.output_ctx_list as { bbox: number[][]; prob: number[] }[] | undefined
      if (answers?.length !== made.length) throw new Error(`${reply.status} ${JSON.stringify(reply.body)}`)
      for (const [index, { picture }] of made.entries()) {
        const { bbox: boxes = [], prob: scores = [] } = answers[index] ?? {}
        requireSame({ boxes, scores }, await expectedOf(picture), `entry ${index} of ${route}`)
      }
    }))
  }))
})

const good: Picture = { type: 'image/png', file: await native.annotate(
  { kind: 'raw', data: Buffer.alloc(300, 90), width: 10, height: 10, channels: 3, order: 'bgr' }, [], '.png') }
const goodFound = await expectedOf(good)

/** Its status is one of its code's; whether it was refused. */
function requireRefusal({ status, body }: Reply, what: string): boolean {
  if (status === 200) return false
  const { error } = body as { error?: string | { code: keyof typeof ERROR_TABLE; message: string } }
  const isDocumented = typeof error === 'object'
    ? ERROR_TABLE[error.code]?.status === status && error.message.length > 0 && body.execute_flag === false
    : typeof error === 'string' && error.length > 0
  if (status < 400 || status >= 500 || !isDocumented) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`)
  return true
}

t.test('broken requests are refused by a documented code, and the next one is right', async (t) => {
  const refusals = { yes: 0, no: 0 }
  const attempt = async (sent: Sent, what: string): Promise<void> => {
    refusals[requireRefusal(await send(sent), what) ? 'yes' : 'no'] += 1
    const next = await (FORMS.raw as (typeof FORMS)[string])(good, 'execute_task_new')
    await requireRight(next, goodFound, `after ${what}`)
  }
  const route = fc.constantFrom(...ROUTES)
  const whole = Object.keys(FORMS).filter((name) => !name.startsWith('multipart'))
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'cut', 'add')), {
    minLength: 1, maxLength: 4,
  })
  await check(t, 80, fc.asyncProperty(picture, fc.constantFrom(...whole), route, changes,
    async (make, name, path, changes) => {
      const sent = await (FORMS[name] as (typeof FORMS)[string])(await make(), path)
      let body = sent.body as Buffer
      for (const [place, byte, kind] of changes) {
        const at = place % (body.length + 1)
        const rest = body.subarray(kind === 'set' ? at + 1 : at)
        body = kind === 'cut'
          ? body.subarray(0, at)
          : Buffer.concat([body.subarray(0, at), Buffer.from([byte]), rest])
      }
      await attempt({ ...sent, body }, `${name} to ${path}, changed`)
    }))
  const type = fc.constantFrom('application/json', 'image/jpeg', 'multipart/form-data; boundary=x', 'garbage', '')
  await check(t, 40, fc.asyncProperty(route, type, fc.uint8Array({ maxLength: 400 }), async (path, type, bytes) => {
    const headers = type === '' ? undefined : { 'content-type': type }
    await attempt({ path: `/${path}/${TASK}`, ...(headers && { headers }), body: Buffer.from(bytes) }, `bytes, ${type}`)
  }))
  await check(t, 80, fc.asyncProperty(
    route, fc.constantFrom('image', 'image_list', 'faces', 'clip', 'inputs'), fc.jsonValue({ maxDepth: 4 }),
    async (path, key, value) => {
      const body = json({ [key]: value })
      await attempt({ path: key === 'inputs' ? INFER : `/${path}/${TASK}`, body }, `${key} of ${body.toString()}`)
    }))
  const length = fc.oneof(fc.integer({ min: -5, max: 500 }).map(String), fc.string({ unit: 'grapheme-ascii' })
    .map((text) => text.trim()))
  await check(t, 40, fc.asyncProperty(picture, length, async (make, length) => {
    const sent = tensors(await make(), true)
    const headers = { ...sent.headers, 'inference-header-content-length': length }
    await attempt({ path: INFER, ...sent, headers }, `a length of ${length}`)
  }))
  t.ok(refusals.yes > refusals.no, `${refusals.yes} were refused, ${refusals.no} could be read`)
})
