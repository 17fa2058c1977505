/** Photographs are turned as EXIF says by the library and `run`; frames on the wire are taken as they are stored. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { annotate, createTask } from '../../lib/index.js'
import { recalled, type Box } from '../helpers/boxes.js'
import { face, jpegOf, people, pixelsOf, withOrientation } from '../helpers/pictures.js'
import { sharedPath, skip } from '../helpers/shared.js'
import { runCli } from '../cli/run.js'

const upright = await pixelsOf(people, 1280)

/**
 * What a camera stores of the upright scene, held as the orientation says: where the stored pixel (x, y) lies
 * in the scene (EXIF 2.3, tag 0x0112).
 */
const STORED: Record<number, (x: number, y: number, width: number, height: number) => [number, number]> = {
  1: (x, y) => [x, y],
  2: (x, y, width) => [width - 1 - x, y],
  3: (x, y, width, height) => [width - 1 - x, height - 1 - y],
  4: (x, y, _, height) => [x, height - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, width) => [width - 1 - y, x],
  7: (x, y, width, height) => [width - 1 - y, height - 1 - x],
  8: (x, y, _, height) => [y, height - 1 - x],
}

/** The JPEG file that such a camera writes. */
async function photograph(orientation: number): Promise<Buffer> {
  const { data, width, height } = upright
  const [storedWidth, storedHeight] = orientation < 5 ? [width, height] : [height, width]
  const stored = Buffer.alloc(data.length)
  for (let y = 0; y < storedHeight; y += 1) {
    for (let x = 0; x < storedWidth; x += 1) {
      const [sceneX, sceneY] = STORED[orientation]!(x, y, width, height)
      data.copy(stored, (y * storedWidth + x) * 3, (sceneY * width + sceneX) * 3, (sceneY * width + sceneX) * 3 + 3)
    }
  }
  return withOrientation(await jpegOf({ data: stored, width: storedWidth, height: storedHeight }), orientation)
}

t.test('however the camera was held, boxes are those of the upright picture', async (t) => {
  await using faces = await createTask('face_detection')
  const expected = (await faces.run(people)).objects.map(({ box }): Box => box)
  t.equal(expected.length, 4)
  for (let orientation = 1; orientation <= 8; orientation += 1) {
    const file = await photograph(orientation)
    const { width, height, objects } = await faces.run(file)
    t.match({ width, height }, { width: 1280, height: 720 }, `orientation ${orientation}`)
    t.equal(recalled(objects.map(({ box }): Box => box), expected, 0.8), 4, `orientation ${orientation}`)
  }
})

t.test('each call, a task and a drawing can take the picture as it is stored', async (t) => {
  const file = await photograph(6)
  const stored = { width: 720, height: 1280 }
  await using faces = await createTask('face_detection', { autoOrient: false })
  t.match(await faces.run(file), stored)
  t.match(await faces.run(file, { autoOrient: true }), { width: 1280, height: 720 })
  t.match(await faces.run({ kind: 'encoded', data: file, autoOrient: true }), { width: 1280, height: 720 })
  await using poses = await createTask('face_alignment')
  const turned = withOrientation(face, 8)
  t.match((await poses.runFaces([turned, file])).sizes, [{ width: 450, height: 450 }, { width: 1280, height: 720 }])
  t.match((await poses.run(file, [[1, 1, 99, 99]], { autoOrient: false })).sizes, [stored])

  const drawn = await annotate(file, { objects: [] }, { type: '.png' })
  t.strictSame([drawn.readUInt32BE(16), drawn.readUInt32BE(20)], [1280, 720])
  const asStored = await annotate(file, { objects: [] }, { type: '.png', autoOrient: false })
  t.strictSame([asStored.readUInt32BE(16), asStored.readUInt32BE(20)], [720, 1280])
})

t.test('run reads and writes photographs upright, without a tag that would turn them again', async (t) => {
  const [photo, out] = [join(t.testdir(), 'photo.jpg'), join(t.testdirName, 'out.jpg')]
  await writeFile(photo, await photograph(8))
  const { stdout } = await runCli('run', 'face_detection', photo, '--json', '--out', out)
  const found = JSON.parse(stdout) as { width: number; height: number; bbox: Box[] }
  t.match(found, { width: 1280, height: 720, bbox: { length: 4 } })
  const written = await readFile(out)
  t.notOk(written.includes('Exif'))
  const drawn = await pixelsOf(written, 1280)
  t.equal(drawn.height, 720)
  const first = 1280 * 3 * 600
  const apart = upright.data.subarray(first).reduce((sum, level, at) =>
    sum + Math.abs(level - (drawn.data[first + at] as number)), 0)
  t.ok(apart / (upright.data.length - first) < 4, 'below the faces it is the scene as it was')
  const stored = await runCli('run', 'face_detection', photo, '--json', '--no-auto-orient')
  t.match(JSON.parse(stored.stdout), { width: 720, height: 1280 })
})

/**
 * What the default model finds in the picture, best first, by a plain program (Python: Pillow or OpenCV decode and turn
 * it, OpenCV or Pillow stretch it to 320 × 240; ONNX Runtime). The last is the fist between the two men, 11 × 12 pixels
 * of what the model sees: a fault of the model's, above the documented threshold of 0.7. It stays a fault at 0.84 where
 * the picture is averaged down, and is no face to it where its sides keep their ratio, as UltraFace's do not.
 */
const PORTRAIT = [
  { score: 0.999, box: [232.2, 24.3, 263, 70.2] },
  { score: 0.928, box: [139.3, 66.3, 163.1, 106] },
  { score: 0.76, box: [255.7, 108.3, 269.6, 123.6] },
]

t.test('a portrait of a telephone: the two faces, and the fist that the model takes for one', { skip }, async (t) => {
  await using faces = await createTask('face_detection')
  const { width, height, objects } = await faces.run(sharedPath('cases', 'phone_portrait.jpg'))
  t.match({ width, height }, { width: 320, height: 180 })
  t.equal(objects.length, PORTRAIT.length)
  for (const [index, { score, box }] of PORTRAIT.entries()) {
    t.ok(Math.abs((objects[index]?.score ?? 0) - score) < 0.02, `score ${objects[index]?.score}, ${score} expected`)
    const apart = box.map((side, at) => Math.abs(side - (objects[index]?.box[at] ?? NaN)))
    t.ok(Math.max(...apart) < 1, `sides differ by up to ${Math.max(...apart)} pixels`)
  }
  const { objects: sure } = await faces.run(sharedPath('cases', 'phone_portrait.jpg'), { scoreThreshold: 0.9 })
  t.equal(sure.length, 2, 'a threshold of 0.9 leaves the two faces')
})
