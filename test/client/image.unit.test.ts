import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { decodeImage, roundBoxes } from '../../lib/client/index.js'
import { encodeBytesLiteral, resolveImage } from '../../lib/client/image.js'
import { native } from '../../lib/native.js'
import { JPEG } from './helpers.js'

t.test('an image comes as bytes, as a named file, or as a string of the interface', async (t) => {
  const path = join(t.testdir({ 'a.jpg': JPEG }), 'a.jpg')
  for (const image of [JPEG, new Uint8Array(JPEG), { path }, pathToFileURL(path)]) {
    t.same(await resolveImage(image, 'image'), JPEG)
  }
  t.equal(await resolveImage(JPEG.toString('base64'), 'image'), JPEG.toString('base64'))
})

t.test('a wrong image is refused before it is sent', async (t) => {
  await t.rejects(resolveImage('photo.jpg', 'image'), { code: 'BAD_IMAGE', message: /\{path: "photo.jpg"\}/ })
  await t.rejects(resolveImage({ path: '/nowhere/a.jpg' }, 'image'), { code: 'BAD_IMAGE', message: /no such file/ })
  await t.rejects(resolveImage(Buffer.from('hello, world'), 'faces[3]'), {
    code: 'BAD_IMAGE', message: /faces\[3\].*12 other bytes/,
  })
  const short = { data: Buffer.alloc(5), width: 2, height: 1, channels: 3 }
  await t.rejects(resolveImage(short, 'image'), { code: 'BAD_IMAGE', message: /2 × 1 × 3 with 5 bytes/ })
})

t.test('images of an answer are decoded from every encoding', async (t) => {
  const base64 = JPEG.toString('base64')
  const forms = [base64, `data:image/jpeg;base64,${base64}`, encodeBytesLiteral(JPEG), JPEG.toString('latin1')]
  for (const form of forms) t.same(decodeImage(form), JPEG, form.slice(0, 12))
  t.throws(() => decodeImage('bm8gaW1hZ2UgYXQgYWxs'), { code: 'BAD_IMAGE' })
  t.throws(() => decodeImage("b'\\u1234'"), { code: 'BAD_IMAGE', message: /escape \\u/ })
})

t.test('bytes literals are those of Python', async (t) => {
  const script = 'import ast, json, sys\n' +
    'print(json.dumps([ast.literal_eval(sys.argv[1]).hex(), str(bytes.fromhex(sys.argv[2]))]))'
  const { stdout } = await promisify(execFile)('python3', [
    '-c', script, encodeBytesLiteral(JPEG), JPEG.toString('hex'),
  ])
  const [read, written] = JSON.parse(stdout) as [string, string]
  t.equal(read, JPEG.toString('hex'))
  t.same(decodeImage(written), JPEG)
})

t.test('raw pixels and Mats arrive pixel for pixel', async (t) => {
  const width = 5
  const height = 3
  const bgr = Buffer.from(Array.from({ length: width * height * 3 }, (_, index) => index * 5 % 256))
  const pixels = async (image: Parameters<typeof resolveImage>[0]): Promise<Buffer> =>
    native.annotate({ kind: 'encoded', data: await resolveImage(image, 'image') as Buffer }, [], 'raw')
  t.same(await pixels({ rows: height, cols: width, channels: 3, getData: () => bgr }), bgr)
  const rgba = Buffer.alloc(width * height * 4, 255)
  for (let index = 0; index < width * height; index++) {
    for (const channel of [0, 1, 2]) rgba[index * 4 + channel] = bgr[index * 3 + 2 - channel] as number
  }
  t.same(await pixels({ data: rgba, width, height, channels: 4 }), bgr)
  const grey = Buffer.from([10, 200])
  t.same(await pixels({ data: grey, width: 2, height: 1, channels: 1 }), Buffer.from([10, 10, 10, 200, 200, 200]))
})

t.test('importing the client loads nothing but the client', async (t) => {
  const seen = new Set<string>()
  const visit = async (url: URL): Promise<void> => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    for (const [, name] of (await readFile(url, 'utf8')).matchAll(/(?:from|import) '(\.[^']+)'/g)) {
      await visit(new URL(name as string, url))
    }
  }
  await visit(new URL('../../lib/client/index.js', import.meta.url))
  const outside = [...seen].filter((href) => !href.includes('/lib/client/')).map((href) => href.split('/lib/')[1])
  t.same(outside, ['errors.js'])
  t.ok(seen.size > 8)
  const name = 'edge-infer/client'
  t.equal((await import(name) as { decodeImage: unknown }).decodeImage, decodeImage, 'under its name as well')
})

t.test('boxes in whole pixels; what follows them stays', async (t) => {
  t.same(roundBoxes([[10.4, 20.5, 30.6, 40]]), [[10, 21, 31, 40]])
  t.same(roundBoxes([[0.2, 1.5, 2.4, 3.9, 0.8599833250045776, 2]]), [[0, 2, 2, 4, 0.8599833250045776, 2]])
  t.same(roundBoxes([]), [])
})
