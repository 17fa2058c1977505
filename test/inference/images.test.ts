/** Every kind of image the library takes, and what it says to the rest. */
import { deflateSync } from 'node:zlib'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { annotate, createTask, type Detections, type ImageInput } from '../../lib/index.js'
import { recalled, type Box } from '../helpers/boxes.js'
import { people as file, sample, street } from '../helpers/pictures.js'

function pngChunk(type: string, body: Buffer): Buffer {
  const checked = Buffer.concat([Buffer.from(type), body])
  let crc = 0xffff_ffff
  for (const byte of checked) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0)
  }
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(body.length)
  checksum.writeUInt32BE(~crc >>> 0)
  return Buffer.concat([length, checked, checksum])
}

const boxes = ({ objects }: Detections): Box[] => objects.map(({ box }) => box)

t.test('one picture in every form gives the same faces', async (t) => {
  await using faces = await createTask('face_detection')
  const expected = await faces.run(file, { fullDecode: true })
  t.equal(expected.objects.length, 4)
  const { width, height } = expected
  const bgr = await annotate(file, { objects: [] }, { type: 'raw' })
  const path = join(t.testdir(), 'people.jpg')
  writeFileSync(path, file)
  const rgb = Buffer.from(bgr)
  for (let at = 0; at < rgb.length; at += 3) [rgb[at], rgb[at + 2]] = [rgb[at + 2] as number, rgb[at] as number]
  const rgba = Buffer.alloc(width * height * 4, 255)
  for (let at = 0; at < width * height; at++) rgb.copy(rgba, at * 4, at * 3, at * 3 + 3)
  const png = await annotate(file, { objects: [] }, { type: '.png' })
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => {
    const at = (y * width + x) * 3
    return [...bgr.subarray(at, at + 3)]
  }))
  const json = (value: unknown): ImageInput => ({ kind: 'json' as const, data: Buffer.from(JSON.stringify(value)) })
  const forms: [ImageInput, string][] = [
    [path, 'encoded'], [png, 'encoded'], [new Uint8Array(file), 'encoded'],
    [{ data: bgr, width, height, channels: 3, order: 'bgr' }, 'raw'],
    [{ data: rgb, width, height, channels: 3 }, 'raw'],
    [{ data: rgba, width, height, channels: 4 }, 'raw'],
    [{ rows: height, cols: width, channels: 3, getData: () => bgr }, 'raw'],
    [json(rows), 'nested-list'], [json(file.toString('base64')), 'base64'], [json(file.toString('latin1')), 'latin1'],
    [json(`data:image/jpeg;base64,${file.toString('base64')}`), 'data-url'],
  ]
  for (const [image, form] of forms) {
    const found = await faces.run(image, { fullDecode: true })
    t.equal(found.encoding, form)
    t.strictSame(found.objects, expected.objects, form)
  }
})

t.test('a reduced decode finds the same objects nearly where they are', async (t) => {
  await using faces = await createTask('face_detection')
  await using cars = await createTask('car_detection')
  for (const [name, picture] of Object.entries({ faces: await sample('faces'), people: file, street })) {
    for (const task of [faces, cars]) {
      const [whole, reduced] = [await task.run(picture, { fullDecode: true }), await task.run(picture)]
      t.equal(reduced.width, whole.width)
      const sure = boxes({ ...whole, objects: whole.objects.filter(({ score }) => score > 0.8) })
      t.equal(recalled(boxes(reduced), sure, 0.8), sure.length, `${name}, ${task.task}`)
    }
  }
})

t.test('crops are the faces: head poses of crops and of boxes agree', async (t) => {
  await using faces = await createTask('face_detection')
  await using poses = await createTask('face_alignment')
  const image = await sample('faces')
  const { objects } = await faces.run(image, { crops: true })
  t.equal(objects.length, 5)
  const crops = objects.map(({ crop }) => crop as Buffer)
  for (const crop of crops) t.equal(crop.readUInt16BE(0), 0xffd8)
  const ofBoxes = await poses.run(image, objects.map(({ box }) => box))
  const ofFaces = await poses.runFaces(crops)
  // The model answers what JPEG alters with some degrees, here and there with ten.
  const apart = ofBoxes.poses.flatMap((pose, index) => (['yaw', 'pitch', 'roll'] as const).map((axis) =>
    Math.abs(pose[axis] - (ofFaces.poses[index]?.[axis] ?? NaN))))
  t.ok(
    apart.reduce((sum, angle) => sum + angle, 0) / apart.length < 4, apart.map((angle) => angle.toFixed(1)).join(' '),
  )
  t.strictSame((await poses.run(image, [])).poses, [])
  t.strictSame((await poses.runFaces([])).poses, [])
  for (const box of [[0, 0, 0, 0], [5000, 0, 5100, 100], [NaN, 0, 1, 1], [10, 10, 5, 5]] as const) {
    await t.rejects(
      poses.run(image, [box]), { code: 'BAD_REQUEST', message: /Box 0 must be .* inside the 1920x1398 image/ },
    )
  }
  t.equal(
    (await poses.run(image, [[-1e7, -1e7, 1e7, 1e7]], { margin: 5 })).poses.length, 1, 'a crop of 23,000 pixels a side',
  )
})

t.test('what is no image, or too large a one, is refused by name', async (t) => {
  await using faces = await createTask('face_detection')
  const broken: [unknown, string][] = [
    [Buffer.alloc(0), 'BAD_IMAGE'], [Buffer.from('GIF89a............'), 'BAD_IMAGE'],
    [file.subarray(0, 20_000), 'BAD_IMAGE'],
    [join(t.testdir(), 'none.jpg'), 'BAD_IMAGE'], [t.testdirName, 'BAD_IMAGE'], [undefined, 'BAD_IMAGE'],
    [42, 'BAD_IMAGE'], [{}, 'BAD_IMAGE'],
    [{ data: new Uint8Array(5), width: 1, height: 2, channels: 3 }, 'BAD_IMAGE'],
    [{ data: [1, 2, 3], width: 1, height: 1, channels: 3 }, 'BAD_IMAGE'],
    [{ data: new Uint8Array(3), width: 1.5, height: 2, channels: 1 }, 'BAD_IMAGE'],
    [{ data: new Uint8Array(3), width: 100_000, height: 100_000, channels: 3 }, 'TOO_LARGE'],
    [{ kind: 'json' as const, data: Buffer.from('[[1,2],[3]]') }, 'BAD_IMAGE'],
    [{ json: Buffer.from('"b\'\\\\xff\'"') }, 'BAD_IMAGE'],
  ]
  for (const [image, code] of broken) {
    await t.rejects(faces.run(image as ImageInput), { code, name: 'EdgeInferError' })
  }
  t.equal((await faces.run(file)).objects.length, 4, 'it still works')
})

t.test('a small PNG of endless texts takes no memory', async (t) => {
  const png = await annotate(file, { objects: [] }, { type: '.png' })
  const text = pngChunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), deflateSync(Buffer.alloc(7_900_000, 'a'))]))
  const bomb = Buffer.concat([png.subarray(0, 33), ...Array.from({ length: 400 }, () => text), png.subarray(33)])
  await using faces = await createTask('face_detection')
  const before = process.memoryUsage.rss()
  t.equal((await faces.run(bomb)).objects.length, 4)
  t.ok(process.memoryUsage.rss() - before < 300e6)
})

t.test('annotated files', async (t) => {
  const path = join(t.testdir(), 'annotated.png')
  const result = { objects: [{ box: [10, 10, 100, 100] as [number, number, number, number], label: 'here' }] }
  writeFileSync(path, await annotate(file, result, { type: path, poses: [{ yaw: 10, pitch: 0, roll: 0 }] }))
  t.not(
    (await annotate(path, { objects: [] }, { type: 'raw' })).compare(
      await annotate(file, { objects: [] }, { type: 'raw' }),
    ), 0,
  )
  await t.rejects(annotate(file, result, { quality: 0 }), { code: 'BAD_OPTION' })
})
