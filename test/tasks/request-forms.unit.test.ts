/**
 * Requests at random against a plain reading of them: JSON.parse, and one short decoder a form. PROPERTY_SEED repeats a
 * run; the seed is in the output.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { EdgeInferError } from '../../lib/errors.js'
import { native } from '../../lib/native.js'
import { parseTaskRequest, type PostedImage, type TaskRequest } from '../../lib/tasks/request.js'

const seed = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31)
const IMAGE_KEYS = ['image', 'image_list', 'clip', 'faces'] as const

async function check<Ts extends [unknown, ...unknown[]]>(
  t: Test, numRuns: number, property: fc.IAsyncProperty<Ts>,
): Promise<void> {
  t.comment(`seed ${seed}`)
  const details = await fc.check(property, {
    seed, numRuns, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false,
  })
  t.notOk(details.failed, await fc.asyncDefaultReportMessage(details) ?? `${details.numRuns} requests`)
  t.ok(details.numRuns > 0, 'a busy machine cuts the run short, but there was one')
}

/** The files' bytes or the pixels (BGR) of one posted image. */
interface Read {
  encoding: string
  bytes: Buffer
  size?: [number, number]
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, '\\': 92, '\'': 39, '"': 34 }

/** The bytes of `b'…'` by the rules of Python, as far as the interface takes them. */
function readLiteral(text: string): Buffer {
  const [, quote = '', content = ''] = /^b(['"])([\x20-\x7e]*)\1$/.exec(text) ?? []
  const bytes: number[] = []
  for (const [part] of content.matchAll(/\\x[0-9a-fA-F]{2}|\\.|./g)) {
    if (part.startsWith('\\x') && part.length === 4) bytes.push(parseInt(part.slice(2), 16))
    else if (part.startsWith('\\') && ESCAPES[part.charAt(1)] !== undefined) bytes.push(ESCAPES[part.charAt(1)] ?? 0)
    else if (part.startsWith('\\') || part === quote) throw new SyntaxError(`no literal: ${part}`)
    else bytes.push(part.charCodeAt(0))
  }
  if (quote === '') throw new SyntaxError('no literal')
  return Buffer.from(bytes)
}

function readImage(value: unknown): Read {
  if (Array.isArray(value)) {
    const rows = value as (number | number[])[][]
    const pixels = rows.flat().map((pixel) => typeof pixel === 'number' ? [pixel, pixel, pixel] : pixel)
    return { encoding: 'nested-list', bytes: Buffer.from(pixels.flat()), size: [rows[0]?.length ?? 0, rows.length] }
  }
  const text = String(value)
  if (/^b['"]/.test(text)) return { encoding: 'bytes-literal', bytes: readLiteral(text) }
  const [, url] = /^data:[^,]*;base64[^,]*,([^]*)$/.exec(text) ?? []
  if (url !== undefined) return { encoding: 'data-url', bytes: Buffer.from(url, 'base64') }
  if (/^([/_]9j[/_]|iVBORw|UklGR|Qk)/.test(text)) return { encoding: 'base64', bytes: Buffer.from(text, 'base64') }
  return { encoding: 'latin1', bytes: Buffer.from(text, 'latin1') }
}

interface Reading {
  fields: Record<string, unknown>
  images: Partial<Record<'image' | 'imageList' | 'faces', Read[]>>
}

function readPlainly(text: string): Reading {
  const fields = JSON.parse(text) as Record<string, unknown>
  const { image, image_list: imageList, clip, faces } = fields
  for (const key of IMAGE_KEYS) delete fields[key]
  const list = imageList ?? clip ?? undefined
  return {
    fields,
    images: {
      ...(image != null && { image: [readImage(image)] }),
      ...(list != null && { imageList: (list as unknown[]).map(readImage) }),
      ...(faces != null && { faces: (faces as unknown[]).map(readImage) }),
    },
  }
}

function seen({ encoding, image }: PostedImage): Read {
  const size = image.kind === 'raw' ? { size: [image.width, image.height] as [number, number] } : {}
  return { encoding, bytes: Buffer.from(image.data), ...size }
}

function seenOf({ fields, image, imageList, faces }: TaskRequest): Reading {
  return {
    fields: fields as Record<string, unknown>,
    images: {
      ...(image && { image: [seen(image)] }), ...(imageList && { imageList: imageList.map(seen) }),
      ...(faces && { faces: faces.map(seen) }),
    },
  }
}

/** Pairs of what differs; members that are -0 or repeated are as JSON.parse has them. */
const isSame = (a: Reading, b: Reading): boolean =>
  JSON.stringify(a.fields) === JSON.stringify(b.fields) && JSON.stringify(a.images) === JSON.stringify(b.images)

const SIGNATURES = [[0xff, 0xd8, 0xff], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]]
const file = fc.tuple(fc.constantFrom(...SIGNATURES), fc.uint8Array({ maxLength: 3000 }))
  .map(([signature, rest]) => Buffer.from([...signature, ...rest]))
const value = fc.integer({ min: 0, max: 255 })
const frame = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 12 }), fc.boolean())
  .chain(([width, height, isGrey]) => {
    const pixel = isGrey ? value : fc.tuple(value, value, value)
    const row = fc.array<unknown>(pixel, { minLength: width, maxLength: width })
    return fc.array(row, { minLength: height, maxLength: height })
  })
const image = fc.oneof(
  file.map((bytes) => native.encodeBytesLiteral(bytes)),
  file.map((bytes) => bytes.toString('base64')),
  file.map((bytes) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')),
  file.map((bytes) => `data:image/jpeg;base64,${bytes.toString('base64')}`),
  file.map((bytes) => bytes.toString('latin1')),
  frame,
)
const list = fc.array(image, { maxLength: 5 })
const isImageKey = (key: string): boolean => (IMAGE_KEYS as readonly string[]).includes(key)
const name = fc.string({ unit: 'binary', maxLength: 12 }).filter((key) => !isImageKey(key))
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger(),
  fc.constantFrom(Number.MAX_VALUE, Number.MIN_VALUE, -0, 2 ** 53, 1e308),
)
const member = fc.oneof(
  fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), number,
  fc.integer({ min: 1, max: 60 }).map((depth) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown),
)
const others = fc.dictionary(name, member, { maxKeys: 6, noNullPrototype: true })
const pictures = fc.record({ image, image_list: list, faces: list }, { requiredKeys: [] })
const request = fc.tuple(others, pictures, fc.boolean()).chain(([some, images, isClip]) => {
  const { image_list: frames, ...more } = images
  const entries = Object.entries({ ...more, ...(frames && { [isClip ? 'clip' : 'image_list']: frames }), ...some })
  return fc.shuffledSubarray(entries, { minLength: entries.length })
})

/** Writers of JSON differ in their spaces and in what they escape. */
const written = fc.tuple(
  request, fc.constantFrom('', ' ', '\t'), fc.constantFrom('', '\ufeff', '\r\n'), fc.boolean(),
  fc.constantFrom(/(?!)/g, /[a-m]/g, /./g),
).map(([entries, space, before, isAscii, inKeys]) => {
  const escape = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  const members = entries.map(([key, content]) => {
    const name = isImageKey(key) ? `"${key.replace(inKeys, escape)}"` : JSON.stringify(key)
    return `${name}:${JSON.stringify(content, null, space)}`
  })
  const text = `{${members.join(space === '' ? ',' : ', ')}}`
  return { before, text: isAscii ? text.replace(/[\u007f-\uffff]/g, escape) : text }
})

t.test('whatever a request holds, it is read as JSON.parse and plain decoders read it', async (t) => {
  await check(t, 1500, fc.asyncProperty(written, async ({ before, text }) => {
    const read = seenOf(await parseTaskRequest(Buffer.from(before + text)))
    const expected = readPlainly(text)
    if (!isSame(read, expected)) throw new Error(`read ${JSON.stringify(read)}, expected ${JSON.stringify(expected)}`)
  }))
})

t.test('a request that was changed somewhere is refused, or read as it stands', async (t) => {
  const added = fc.string({ unit: 'grapheme-ascii', maxLength: 3 })
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 3 }), added)
  await check(t, 3000, fc.asyncProperty(written, change, async ({ text }, [place, removed, added]) => {
    const at = place % (text.length + 1)
    // Half of a surrogate pair becomes U+FFFD.
    const changed = Buffer.from(text.slice(0, at) + added + text.slice(at + removed))
    let read: Reading
    try {
      read = seenOf(await parseTaskRequest(changed))
    } catch (error) {
      if (error instanceof EdgeInferError && error.status >= 400 && error.status < 500) return
      throw error
    }
    let expected: Reading
    try {
      expected = readPlainly(changed.toString())
    } catch {
      // Base64 may have line breaks and the head of a data URL escapes that JSON does not know.
      return
    }
    if (!isSame(read, expected)) throw new Error(`read ${JSON.stringify(read)}, expected ${JSON.stringify(expected)}`)
  }))
})

t.test('a nested list with something else in it is refused', async (t) => {
  const wrong = fc.constantFrom(
    '256', '767', '768', '999', '4294967296', '-1', '+1', '1.0', '1e2', '01', '00', '0x1', 'true', 'null', '""', '"7"',
    '[]', '{}', '',
  )
  await check(t, 500, fc.asyncProperty(frame, fc.nat(), wrong, async (pixels, place, text) => {
    const plain = JSON.stringify(pixels)
    const numbers = [...plain.matchAll(/\d+/g)]
    const { 0: { length } = '', index = 0 } = numbers[place % numbers.length] ?? {}
    const body = `{"image":${plain.slice(0, index)}${text}${plain.slice(index + length)}}`
    await parseTaskRequest(Buffer.from(body)).then(
      () => {
        throw new Error(`${body} was taken`)
      },
      (error: unknown) => {
        if (!(error instanceof EdgeInferError) || error.code !== 'BAD_IMAGE') throw error
      })
  }))
})
