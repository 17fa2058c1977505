import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { createTask } from '../../lib/index.js'
import { resolveSample } from '../../lib/models/index.js'
import { native, type NativeImage } from '../../lib/native.js'
import { openVideo } from '../../lib/video/index.js'
import { people, writeVideo } from '../helpers/pictures.js'
import { finished, runCli, runCliWith, spawnCli } from './run.js'

type Line = Record<string, unknown>

const faces = await resolveSample('faces')
const car = await resolveSample('car')

function linesOf(stdout: string): Line[] {
  return stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Line)
}

async function pixelsOf(path: string): Promise<Buffer> {
  const image: NativeImage = { kind: 'encoded', data: await readFile(path) }
  return native.annotate(image, [], 'raw')
}

t.test('a table for people: boxes, angles, who is up, stage times, and an annotated picture', async (t) => {
  const out = join(t.testdir(), 'new', 'annotated.png')
  const { code, stdout, stderr } = await runCli('run', 'face_alignment', faces, '--out', out)
  t.match({ code, stderr }, { code: 0, stderr: '' })
  const lines = stdout.split('\n')
  t.equal(lines[0], `${faces}: face × 5 (up: 4) in 1920 × 1398 pixels`)
  t.match(lines[1], /^ {2}LABEL +CONF +X1 +Y1 +X2 +Y2 +YAW +PITCH +ROLL +UP$/)
  const rows = lines.slice(2, 7).map((line) => line.trim().split(/ +/))
  for (const [label, , x1, y1, x2, y2, , pitch, , up] of rows) {
    t.ok(label === 'face' && Number(x1) < Number(x2) && Number(y1) < Number(y2))
    t.equal(up === 'up', Number(pitch) > -10)
  }
  t.match(lines[7], /^ {2}decode [\d.]+ \+ preprocess [\d.]+ \+ inference [\d.]+ \+ postprocess [\d.]+ = [\d.]+ ms$/)
  t.equal(lines[8], `  written to ${out}`)
  t.ok(lines.slice(1, 8).every((line) => line.length <= 80), 'fits a terminal of 80 columns')

  const [before, after] = [await pixelsOf(faces), await pixelsOf(out)]
  t.equal(after.length, before.length)
  const [, , x1, y1, , y2] = rows[0] as string[]
  const at = 3 * (1920 * Math.round((Number(y1) + Number(y2)) / 2) + Number(x1))
  t.strictSame([...after.subarray(at, at + 3)], [0, 158, 230], 'the edge of the first box has its colour')
  const top = 3 * 1920 * 50
  t.equal(Buffer.compare(after.subarray(0, top), before.subarray(0, top)), 0, 'the rest is untouched')
})

t.test('JSON lines have the keys of the HTTP interface; classes by name; thresholds', async (t) => {
  const { code, stdout } = await runCli(
    'run', 'car_detection', car, faces, '--json', '--classes', 'car,7', '--conf', '0.3')
  t.equal(code, 0)
  const [first, second] = linesOf(stdout)
  t.match(first, { file: car, width: 1024, height: 680, label: ['car'], count_result: { car: 1 } })
  const [[x1, y1, x2, y2, confidence, classId] = []] = first?.result as number[][]
  t.equal(classId, 2)
  t.ok((confidence ?? 0) > 0.7)
  t.ok((x1 ?? 0) < 100 && (y1 ?? 0) > 150 && (x2 ?? 0) > 900 && (y2 ?? 0) < 520)
  t.match(first?.timings, { decode: Number, preprocess: Number, inference: Number, postprocess: Number, encode: 0 })
  t.match(second, { file: faces, result: [], count_result: {} }, 'people are not asked for')

  const strict = await runCli('run', 'face_detection', faces, '--json', '--max-det', '2', '--threads', '1')
  t.equal((linesOf(strict.stdout)[0]?.bbox as number[][]).length, 2)
})

t.test('face_alignment by standard input finds what the library finds', async (t) => {
  const picture = join(t.testdir(), 'people.jpg')
  await writeFile(picture, people)
  await using detector = await createTask('face_detection')
  await using estimator = await createTask('face_alignment')
  const { objects } = await detector.run(people, { fullDecode: true })
  const { poses } = await estimator.run(people, objects.map(({ box }) => box))
  const { stdout } = await runCliWith({ input: picture }, 'run', 'face_alignment', '-', '--json')
  const [found] = linesOf(stdout) as { file: string; bbox: number[][]; head_pose: number[][]; count_result: Line }[]
  const up = poses.filter(({ pitch }) => pitch > -10).length
  t.match(found, { file: '-', width: 1280, height: 720, count_result: { up, total: 4 } })
  for (const [index, { box: [x1, y1, x2, y2] }] of objects.entries()) {
    const { yaw = NaN, pitch = NaN, roll = NaN } = poses[index] ?? {}
    const expected = [x1, y1, x2, y2, yaw, pitch, roll, (x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2]
    const apart = [...found?.bbox[index] ?? [], ...found?.head_pose[index] ?? []]
      .map((value, at) => Math.abs(value - (expected[at] as number)))
    t.ok(apart.length === expected.length && Math.max(...apart) < 1.5, `face ${index}: ${Math.max(...apart)}`)
  }
})

t.test('a directory: natural order, the broken ones reported, the rest done, exit code 1', async (t) => {
  const data = t.testdir({ 'notes.txt': 'no picture', 'notes.jpg': 'no picture either' })
  const whole = await readFile(faces)
  await copyFile(faces, join(data, '10.JPG'))
  await copyFile(car, join(data, '2.jpg'))
  await writeFile(join(data, '9.jpg'), whole.subarray(0, whole.length >> 1))
  const out = join(data, 'out')
  const { code, stdout, stderr } = await runCli('run', 'face_detection', data, '--json', '--out', out)
  t.equal(code, 1)
  const lines = linesOf(stdout)
  t.strictSame(lines.map(({ file }) => file), ['2.jpg', '9.jpg', '10.JPG', 'notes.jpg'].map((name) => join(data, name)))
  t.match(lines[1], { error: { code: 'BAD_IMAGE', message: /9\.jpg/ } })
  t.match(lines[2], { bbox: { length: 5 }, out: join(out, '10.JPG') })
  t.strictSame((await readdir(out)).sort(), ['10.JPG', '2.jpg'])
  t.match(stderr, /9\.jpg.*\[BAD_IMAGE\]\n.*notes\.jpg.*\nerror: 2 of 4 inputs could not be used .*\[BAD_IMAGE\]\n$/)
})

t.test('a video: one line a frame, and an annotated video of the same frames', async (t) => {
  const out = join(t.testdir(), 'annotated.mp4')
  const video = await writeVideo(join(t.testdirName, 'video.mp4'), 8)
  const { code, stdout } = await runCli('run', 'car_detection', video, '--json', '--max-frames', '6', '--out', out)
  t.equal(code, 0)
  const lines = linesOf(stdout)
  t.strictSame(lines.map((line) => line.frame_index), [0, 1, 2, 3, 4, 5])
  t.match(lines[5], { file: video, timestamp_ms: 200, width: 640, height: 360, count_result: { person: Number }, out })
  t.match((await openVideo(out)).info, { width: 640, height: 360, framesPerSecond: 25, frameCount: 6 })

  const text = await runCliWith({ cwd: t.testdirName }, 'run', 'face_alignment', video, '--max-frames', '4')
  t.match(text.stdout, /4 frames in .* frames\/s, 640 × 360 pixels\n.*IN FRAMES.*\n +face +4 +2\.00 +2\n/)
  t.equal(text.stderr, '', 'no progress bar where nobody sees it')
})

t.test('Ctrl-C ends a video with 130 and leaves a video of what was done', async (t) => {
  const out = join(t.testdir(), 'cut.mp4')
  const video = await writeVideo(join(t.testdirName, 'video.mp4'), 400)
  const child = spawnCli(['run', 'car_detection', video, '--json', '--out', out])
  const result = finished(child)
  await once(createInterface(child.stdout), 'line')
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  const { code, stderr } = await result
  t.equal(code, 130)
  t.match(stderr, /^error: Interrupted after \d+ frames of .*cut\.mp4 holds them \[ABORTED\]\n$/)
  const frames = Number(/after (\d+) frames/.exec(stderr)?.[1])
  t.ok(frames > 0 && frames < 400)
  t.equal((await openVideo(out)).info.frameCount, frames)
})

t.test('pictures of other kinds are named, whatever the file is called', async (t) => {
  const text = (start: string, at = 0): Buffer => Buffer.from('\0'.repeat(at) + start.padEnd(64, '\0'), 'latin1')
  const files: Record<string, [Buffer, RegExp]> = {
    'a.heic': [text('ftypheic', 4), /HEIC/], 'b.jpg': [text('ftypheic', 4), /HEIC/],
    'c.jpg': [text('ftypavif', 4), /AVIF/], 'd.avif': [text('ftypmif1', 4), /HEIC or AVIF/],
    'e.tiff': [text('II*\0'), /TIFF/], 'f.png': [text('MM\0*'), /TIFF/], 'h.jxl': [text('\xff\x0a'), /JPEG XL/],
    'i.jpg': [text('JXL \r\n\x87\n', 4), /JPEG XL/], 'j.jpg': [text('%PDF-1.7'), /PDF/],
    'k.svg': [text('<svg xmlns="http://www.w3.org/2000/svg"/>'), /SVG/],
  }
  const directory = t.testdir()
  for (const [name, [bytes]] of Object.entries(files)) await writeFile(join(directory, name), bytes)
  const { code, stdout } = await runCliWith(
    { cwd: directory }, 'run', 'face_detection', '--json', ...Object.keys(files))
  t.equal(code, 1)
  const lines = linesOf(stdout) as { file: string; error: { code: string; message: string } }[]
  for (const [index, [name, [, kind]]] of Object.entries(files).entries()) {
    t.match(lines[index], { file: name, error: { code: 'BAD_IMAGE', message: kind } })
    t.match(lines[index]?.error.message, /Expected a JPEG, PNG, WebP or BMP file but received an? /)
  }
})

t.test('what cannot be done is said before anything is computed or overwritten', async (t) => {
  const directory = t.testdir({ empty: {} })
  await copyFile(car, join(directory, 'car.jpg'))
  await mkdir(join(directory, 'two'))
  for (const name of ['1.jpg', '2.jpg']) await copyFile(car, join(directory, 'two', name))
  const cases: [string[], number, RegExp][] = [
    [['cars', 'car.jpg'], 2, /'cars' is invalid.*face_detection/],
    [['car_detection'], 2, /missing required argument 'input'/],
    [['car_detection', 'car.jpg', '--conf', '2'], 2, /--conf <.*'2' is invalid\. Expected a number from 0 to 1/],
    [['car_detection', 'car.jpg', '--threads', '1.5'], 2, /Expected a whole number from 1 to 256/],
    [['car_detection', 'gone.jpg'], 1, /gone\.jpg.*ENOENT.*\[BAD_IMAGE\]/],
    [['car_detection', 'empty'], 1, /Expected pictures .* in empty but there are none \[BAD_IMAGE\]/],
    [['car_detection', '-'], 1, /standard input: .*0 bytes \[BAD_IMAGE\]/],
    [['car_detection', 'car.jpg', '--out', '.'], 1, /would overwrite .*car\.jpg \[BAD_OPTION\]/],
    [['car_detection', 'car.jpg', '--out', 'out.gif'], 1, /ending in \.jpg.* received out\.gif \[BAD_OPTION\]/],
    [['car_detection', 'two', '--out', 'one.jpg'], 1, /Expected a directory for --out.*one\.jpg \[BAD_OPTION\]/],
    [['car_detection', 'car.jpg', '--classes', 'lorry'], 1, /received "lorry" \(person, .*\[BAD_OPTION\]/],
    [['car_detection', 'car.jpg', '--device', 'gpu'], 1, /Expected cpu, cuda.* or tensorrt.*"gpu".*\[BAD_OPTION\]/],
    [['car_detection', 'car.jpg', '--face-model', 'x'], 1, /--face-model with face_alignment only.*\[BAD_OPTION\]/],
  ]
  for (const [args, code, message] of cases) {
    const result = await runCliWith({ cwd: directory }, 'run', ...args)
    t.match(result, { code, stdout: '', stderr: message }, args.join(' '))
  }
  t.strictSame(await readFile(join(directory, 'car.jpg')), await readFile(car))
})
