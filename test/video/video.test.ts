/** Videos by the program ffmpeg: those that ffmpeg makes, those written here, and broken ones. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isVideo, openVideo, VideoWriter, type VideoFrame, type VideoReader } from '../../lib/video/index.js'
import { finished, runCli, runCliWith, spawnCli } from '../cli/run.js'
import { children, isAlive, until } from '../helpers/processes.js'
import { sharedPath, skip } from '../helpers/shared.js'

const directory = t.testdir()
const file = (name: string): string => join(directory, name)

function ffmpeg(...args: string[]): void {
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args])
}

/** 100 frames of a moving picture at 25 a second, a key frame a second, with sound of four seconds. */
function writeMoving(name: string, ...options: string[]): string {
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=4', '-f', 'lavfi', '-i', 'sine=d=4', '-c:v', 'libx264',
    '-preset', 'ultrafast', '-g', '25', ...options, file(name))
  return file(name)
}

interface PacketInfo {
  pos: number
  size: number
}

function probe(path: string, entries: string): Record<string, unknown>[] {
  const text = execFileSync('ffprobe', ['-v', 'error', '-show_entries', entries, '-of', 'json', path]).toString()
  const { streams, packets } = JSON.parse(text) as Record<string, Record<string, unknown>[]>
  return packets ?? streams ?? []
}

async function all(reader: VideoReader): Promise<VideoFrame[]> {
  const frames: VideoFrame[] = []
  for await (const frame of reader) frames.push(frame)
  return frames
}

/** The middle pixel of each frame: blue, green, red. */
function middles(frames: readonly VideoFrame[]): number[][] {
  return frames.map(({ data, width, height }) => {
    const at = 3 * (width * (height >> 1) + (width >> 1))
    return [...data.subarray(at, at + 3)]
  })
}

const moving = writeMoving('moving.mp4', '-movflags', '+faststart')

t.test('frames are written and read with their colours and times; odd sides are padded', async (t) => {
  const colours = [[250, 5, 5], [5, 250, 5], [5, 5, 250], [128, 128, 128], [0, 200, 200]]
  const times = [0, 100, 200, 3000, 3100]
  for (const type of ['mp4', 'mov', 'mkv']) {
    const path = file(`colours.${type}`)
    const writer = await VideoWriter.open(path, { width: 63, height: 47, framesPerSecond: 5 })
    for (const [index, colour] of colours.entries()) {
      await writer.write(Buffer.alloc(63 * 47 * 3, Buffer.from(colour)), times[index] ?? 0)
    }
    await Promise.all([writer.close(), writer.close()])
    const reader = await openVideo(path)
    const frames = await all(reader)
    t.match(reader, { info: { width: 64, height: 48 }, damage: { undecoded: 0, corrupt: 0, isBroken: false } })
    t.strictSame(frames.map(({ timestamp }) => timestamp), times, type)
    for (const [index, [blue = 0, green = 0, red = 0]] of middles(frames).entries()) {
      const [b = 0, g = 0, r = 0] = colours[index] ?? []
      t.ok(Math.max(Math.abs(blue - b), Math.abs(green - g), Math.abs(red - r)) < 12, `${index}: ${[blue, green, red]}`)
    }
    t.match(probe(path, 'stream=codec_name,pix_fmt'), [{ codec_name: 'h264', pix_fmt: 'yuv420p' }])
  }
  const bytes = readFileSync(file('colours.mp4'))
  t.ok(bytes.indexOf('moov') < bytes.indexOf('mdat'), 'browsers begin before they have all of it')
})

t.test('a rotation that the file asks for is done', async (t) => {
  const bytes = readFileSync(moving)
  const matrix = bytes.indexOf('tkhd') + 44
  for (const [at, value] of [0, 0x10000, 0, -0x10000, 0, 0].entries()) bytes.writeInt32BE(value, matrix + 4 * at)
  writeFileSync(file('turned.mp4'), bytes)
  const [upright, turned] = await Promise.all([moving, file('turned.mp4')].map((path) => openVideo(path)))
  t.match(turned?.info, { width: 180, height: 320, framesPerSecond: 25, frameCount: 100, duration: 4000 })
  const [first, second] = [await all(upright as VideoReader), await all(turned as VideoReader)]
  t.equal(second.length, 100)
  let apart = 0
  for (let x = 0; x < 320; x += 16) {
    for (let y = 0; y < 180; y += 12) {
      const before = first[50]?.data[3 * (320 * y + x)] ?? NaN
      apart += Math.abs(before - (second[50]?.data[3 * (180 * x + 179 - y)] ?? NaN)) / 300
    }
  }
  t.ok(apart < 8, `a quarter turn clockwise: ${apart}`)
})

t.test('a damaged frame is counted, and the rest goes on', async (t) => {
  const bytes = readFileSync(moving)
  const packets = probe(moving, 'packet=pos,size,codec_type').filter(({ codec_type }) => codec_type === 'video')
  const { pos, size } = packets[30] as unknown as PacketInfo
  bytes.fill(0x5a, Number(pos), Number(pos) + Number(size))
  writeFileSync(file('damaged.mp4'), bytes)
  const reader = await openVideo(file('damaged.mp4'))
  const frames = await all(reader)
  t.equal(frames.length, 99)
  t.equal(frames.at(-1)?.timestamp, 3960)
  t.match(reader.damage, { undecoded: 1 })

  const { code, stdout, stderr } = await runCli('run', 'face_detection', file('damaged.mp4'), '--json')
  const lines = stdout.trimEnd().split('\n')
  t.match({ code, lines: lines.length }, { code: 1, lines: 100 })
  t.match(JSON.parse(lines[99] ?? ''), {
    error: { code: 'BAD_IMAGE', message: /1 of 100 frames could not be decoded/ },
  })
  t.match(stderr, /^error: .*damaged\.mp4: 1 of 100 frames could not be decoded.* \[BAD_IMAGE\]\n$/)
})

t.test('a file that is cut off is not taken for a short one', async (t) => {
  for (const type of ['mp4', 'mkv', 'avi', 'flv', 'ts']) {
    const whole = type === 'mp4' ? moving : file(`whole.${type}`)
    if (type !== 'mp4') ffmpeg('-i', moving, '-c', 'copy', whole)
    const bytes = readFileSync(whole)
    const [reader, cut] = [await openVideo(whole), file(`cut.${type}`)]
    t.equal((await all(reader)).length, 100, type)
    t.strictSame(reader.damage, { undecoded: 0, corrupt: 0, isBroken: false }, type)
    writeFileSync(cut, bytes.subarray(0, bytes.length * 2 / 3))
    const broken = await openVideo(cut)
    const { length } = await all(broken)
    t.ok(length > 40 && length < 90, `${type}: ${length} frames`)
    if (type === 'mp4') t.equal(broken.damage.undecoded, 100 - length)
    // Of a transport stream only a picture that is cut in two tells.
    if (type !== 'ts') t.equal(broken.damage.isBroken, true, type)
  }
})

t.test('videos are known by what is in them, whatever their name', async (t) => {
  ffmpeg('-i', moving, '-c', 'copy', '-f', 'mpegts', file('stream'))
  ffmpeg('-i', moving, '-frames:v', '3', file('three.gif'))
  ffmpeg('-i', moving, '-frames:v', '3', '-f', 'mjpeg', file('three.mjpeg'))
  ffmpeg('-i', moving, '-frames:v', '1', '-f', 'image2', '-update', '1', file('picture.tiff'))
  ffmpeg('-i', moving, '-frames:v', '1', '-f', 'image2', '-update', '1', file('picture.png'))
  ffmpeg('-i', moving, '-vn', file('sound.m4a'))
  writeFileSync(file('words.txt'), 'no video\n')
  const { code, stdout } = await runCliWith(
    { cwd: directory }, 'run', 'face_detection', '--json', 'stream', 'three.gif', 'three.mjpeg', 'words.txt',
    'picture.tiff')
  t.equal(code, 1)
  const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as { file: string; error?: object })
  const counts = Object.fromEntries(['stream', 'three.gif', 'three.mjpeg'].map(
    (name) => [name, lines.filter((line) => line.file === name && !line.error).length]))
  t.strictSame(counts, { 'stream': 100, 'three.gif': 3, 'three.mjpeg': 3 })
  t.match(lines.slice(-2), [{ error: { message: /words\.txt/ } }, { error: { message: /a TIFF/ } }])
  t.equal(await isVideo(file('sound.m4a')), false)
  await t.rejects(openVideo(file('sound.m4a')), { code: 'BAD_IMAGE', message: /sound\.m4a.*no pictures/ })
  await t.rejects(openVideo(file('words.txt.mp4')), { code: 'BAD_IMAGE', message: /No such file/ })
  writeFileSync(file('-no.mp4'), 'no video\n')
  await t.rejects(openVideo(file('-no.mp4')), { code: 'BAD_IMAGE', message: /-no\.mp4: Invalid data/ })
})

t.test('the annotated video has the sound of as much as was done', async (t) => {
  for (const [input, type, codec] of [[moving, 'mp4', 'aac'], [file('vorbis.mkv'), 'mp4', 'aac'],
    [moving, 'avi', 'aac']] as const) {
    if (input !== moving) ffmpeg('-i', moving, '-c:v', 'copy', '-c:a', 'libvorbis', input)
    const out = file(`sound.${type}`)
    t.equal((await runCli('run', 'face_detection', input, '--max-frames', '50', '--out', out)).code, 0)
    const [pictures, sound] = probe(out, 'stream=codec_name,duration,nb_frames') as Record<string, string>[]
    t.match([pictures?.codec_name, sound?.codec_name], ['h264', codec])
    t.ok(Math.abs(Number(pictures?.duration) - 2) < 0.1 && Math.abs(Number(sound?.duration) - 2) < 0.1, type)
    t.equal((await all(await openVideo(out))).length, 50)
  }
})

t.test('ffmpeg waits for who reads, ends with the reading, and is missed when it is killed', async (t) => {
  const before = new Set(children())
  const started = (): number[] => children().filter((pid) => !before.has(pid))
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=640x360:d=12', '-c:v', 'libx264', '-preset', 'ultrafast', file('long.mp4'))
  for await (const frame of await openVideo(file('long.mp4'))) {
    t.equal(frame.data.length, 640 * 360 * 3)
    await new Promise((resolve) => setTimeout(resolve, 500))
    t.equal(started().length, 1, 'it has not run on to the end')
    break
  }
  t.strictSame(started(), [])

  const frames = (await openVideo(file('long.mp4')))[Symbol.asyncIterator]()
  await frames.next()
  const [pid = NaN] = started()
  process.kill(pid, 'SIGKILL')
  await t.rejects((async () => { while (!(await frames.next()).done); })(), {
    code: 'FFMPEG_UNAVAILABLE', message: /long\.mp4.* ended after \d+ frames with SIGKILL/,
  })

  const writer = await VideoWriter.open(file('killed.mp4'), { width: 64, height: 64, framesPerSecond: 25 })
  for (const encoder of started()) process.kill(encoder, 'SIGKILL')
  await t.rejects((async () => {
    for (let index = 0; index < 1000; index++) await writer.write(Buffer.alloc(64 * 64 * 3), 40 * index)
    await writer.close()
  })(), { code: 'FFMPEG_UNAVAILABLE', message: /killed\.mp4 cannot be written: .*SIGKILL/ })
  t.ok(await until(() => started().length === 0))
})

t.test('no ffmpeg outlives the program; what it wrote can be played', async (t) => {
  const out = file('outlived.mp4')
  const child = spawnCli(['run', 'face_detection', file('long.mp4'), '--json', '--out', out])
  const result = finished(child)
  const pid = Number(child.pid)
  let lines = 0
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      lines += chunk.toString().split('\n').length - 1
      if (lines > 60) resolve()
    })
  })
  const programs = children(pid)
  t.equal(programs.length, 2, 'a decoder and an encoder')
  child.kill('SIGKILL')
  await result
  t.ok(await until(() => !programs.some(isAlive)))
  const { length } = await all(await openVideo(out))
  t.ok(length > 20 && length < 300, `${length} frames`)
})

t.test('without ffmpeg the error names its package, and pictures need none', async (t) => {
  const bin = t.testdir({ env: t.fixture('symlink', '/usr/bin/env') })
  const options = { cwd: directory, env: { PATH: bin } }
  const video = await runCliWith(options, 'run', 'face_detection', 'moving.mp4')
  t.equal(video.code, 1)
  t.match(video.stderr, /need the program ff(mpeg|probe).*apt-get install .*ffmpeg.*\[FFMPEG_UNAVAILABLE\]\n$/s)
  const { stdout } = await runCliWith(options, 'inspect', '--json')
  t.match(JSON.parse(stdout), { ffmpeg: { error: /apt-get install/ } })
  t.match(await runCliWith(options, 'run', 'face_detection', 'picture.png'), { code: 0 })
})

t.test('the videos that went wrong', { skip }, async (t) => {
  const found = async (name: string): Promise<{ code: number | null; lines: Record<string, unknown>[] }> => {
    const { code, stdout } = await runCli('run', 'face_detection', sharedPath('cases', name), '--json')
    return { code, lines: stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>) }
  }
  const [damaged, varying, turned, stream] = await Promise.all(
    ['one_bad_frame.mp4', 'vfr.mp4', 'rot.mp4', 'ten.ts'].map(found))
  t.match(damaged, { code: 1, lines: { length: 38 } })
  t.match(damaged?.lines[37], { error: { message: /1 of 38 frames could not be decoded/ } })
  t.match(varying, { code: 0 })
  t.strictSame(varying?.lines.map((line) => line.timestamp_ms), [0, 100, 200, 3000, 3100, 6000])
  t.match(turned, { code: 0, lines: { length: 10 } })
  for (const { bbox } of turned?.lines ?? []) t.ok((bbox as unknown[]).length >= 2, 'two faces at least')
  t.match(stream, { code: 0, lines: { length: 10 } })
})
