/** Frames of a video file, decoded by ffmpeg. */
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { EdgeInferError } from '../errors.js'
import {
  endingText, ONLY_FILES, output, passthroughOptions, startFfmpeg, type Ending, type FfmpegLog,
} from './ffmpeg.js'

export interface VideoInfo {
  /** Pixels of the upright picture: a rotation that the file asks for is done. */
  width: number
  height: number
  /** The mean of the file, where it tells. */
  framesPerSecond: number | undefined
  /** Where the file tells. */
  frameCount: number | undefined
  /** Milliseconds of the pictures or of the whole file, where it tells. */
  duration: number | undefined
  /** What ffmpeg calls the container. */
  container: string
  /** How the first track of sound is encoded. */
  soundCodec: string | undefined
}

/** 8-bit BGR pixels, row by row: a raw image as the library takes it. */
export interface VideoFrame {
  data: Buffer
  width: number
  height: number
  channels: 3
  order: 'bgr'
  /** Milliseconds from the start of the file. */
  timestamp: number
}

/** Frames that are missing from what was read, or look wrong. */
export interface Damage {
  /** That could not be decoded. */
  undecoded: number
  /** That were decoded with parts missing. */
  corrupt: number
  /** Whether the file itself is cut off, or broken in places. */
  isBroken: boolean
}

export interface VideoReader extends AsyncIterable<VideoFrame> {
  readonly info: VideoInfo
  /** Of what has been read; complete after the last frame. */
  readonly damage: Damage
}

export interface ReadOptions {
  /** The first so many. */
  maxFrames?: number | undefined
}

/** More of the packets than ffmpeg's bound could not be decoded: it has gone through all of them nonetheless. */
const EXIT_MANY_ERRORS = 69

/** What ffmpeg reads as pictures, or text drawn on a screen. */
const NO_VIDEO = /_pipe$|^image2|^tty$/

/** Whether a file is a video that ffmpeg reads, whatever its name. False, too, where there is no ffmpeg. */
export async function isVideo(path: string): Promise<boolean> {
  return probeVideo(path).then(({ container }) => !NO_VIDEO.test(container), () => false)
}

/**
 * Opens a video file of any container and codec that ffmpeg reads. Its frames can be iterated over once; ffmpeg decodes
 * no more than a few frames ahead, and ends when the iteration does.
 * @throws EdgeInferError BAD_IMAGE: it is no video; FFMPEG_UNAVAILABLE: there is no ffmpeg. The iteration throws the
 * same where ffmpeg fails or is killed before the end.
 */
export async function openVideo(path: string, { maxFrames }: ReadOptions = {}): Promise<VideoReader> {
  const [passthrough, info] = await Promise.all([passthroughOptions(), probeVideo(path)])
  const damage: Damage = { undecoded: 0, corrupt: 0, isBroken: false }
  const args = [
    ...ONLY_FILES, '-i', `file:${path}`, '-map', '0:V:0', '-vf', filtersOf(info), ...passthrough,
    ...(maxFrames === undefined ? [] : ['-frames:v', String(maxFrames)]), '-f', 'rawvideo', 'pipe:1',
  ]
  return { info, damage, [Symbol.asyncIterator]: () => framesOf(path, args, info, maxFrames, damage) }
}

/**
 * Writes the time of each frame, microseconds, to descriptor 3. A video whose size changes on the way is scaled to the
 * first.
 */
function filtersOf({ width, height }: VideoInfo): string {
  const report = "settb=AVTB,metadata=mode=add:key=t:value=1,metadata=mode=print:file='pipe\\:3':direct=1"
  return `${report},scale=${width}:${height},format=bgr24`
}

async function* framesOf(
  path: string, args: readonly string[], info: VideoInfo, maxFrames: number | undefined, damage: Damage,
): AsyncGenerator<VideoFrame, void, undefined> {
  const { width, height } = info
  const { child, stdout, report, log, ended } = startFfmpeg(args, info.container)
  const timestamps = timestampsOf(report, info)
  let frames = 0
  let last = 0
  try {
    for await (const data of blocksOf(stdout, width * height * 3)) {
      last = (await timestamps.next()).value ?? last
      yield { data, width, height, channels: 3, order: 'bgr', timestamp: last }
      frames += 1
    }
    const ending = await ended
    log.isBroken ||= isCutAvi(info, last) && frames !== maxFrames
    if (ending.code !== 0 && ending.code !== EXIT_MANY_ERRORS) throw cutShort(path, frames, ending, log)
    Object.assign(damage, damageOf(log, info, frames, maxFrames))
  } finally {
    child.kill('SIGKILL')
    await ended.catch(() => {})
  }
}

/** Buffers of `bytes` each; a rest is dropped. */
async function* blocksOf(stream: Readable, bytes: number): AsyncGenerator<Buffer, void, undefined> {
  let block = Buffer.allocUnsafeSlow(bytes)
  let filled = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length;) {
      const copied = chunk.copy(block, filled, at)
      at += copied
      filled += copied
      if (filled < bytes) continue
      yield block
      block = Buffer.allocUnsafeSlow(bytes)
      filled = 0
    }
  }
}

/** Milliseconds. A frame that has no time of its own follows the one before at the mean rate. */
async function* timestampsOf(
  report: Readable, { framesPerSecond }: VideoInfo,
): AsyncGenerator<number, undefined, undefined> {
  let last: number | undefined
  for await (const line of createInterface({ input: report })) {
    const [, microseconds] = /^frame:\S+\s+pts:(\S+)/.exec(line) ?? []
    if (microseconds === undefined) continue
    const own = Number(microseconds) / 1000
    const next = last === undefined || framesPerSecond === undefined ? 0 : last + 1000 / framesPerSecond
    last = Number.isNaN(own) ? next : own
    yield last
  }
  return undefined
}

function cutShort(path: string, frames: number, ending: Ending, log: FfmpegLog): EdgeInferError {
  return new EdgeInferError(ending.signal === null ? 'BAD_IMAGE' : 'FFMPEG_UNAVAILABLE',
    `ffmpeg was to read ${path} to its end but ended after ${frames} frames with ${endingText(ending)}: ${log.reason}`)
}

/** ffmpeg takes the end of an AVI file for its end, whatever it promises. */
function isCutAvi({ container, duration = 0 }: VideoInfo, last: number): boolean {
  return container === 'avi' && last + 1000 < duration
}

/** What the file promises counts only where ffmpeg complained: an edit list leaves frames out, too. */
function damageOf(log: FfmpegLog, info: VideoInfo, frames: number, maxFrames = Infinity): Damage {
  const { undecoded, corrupt, isBroken } = log
  const promised = Math.min(info.frameCount ?? 0, maxFrames)
  return { undecoded: undecoded > 0 || isBroken ? Math.max(undecoded, promised - frames) : 0, corrupt, isBroken }
}

interface Probe {
  streams?: {
    codec_type?: string
    codec_name?: string
    width?: number
    height?: number
    avg_frame_rate?: string
    nb_frames?: string
    duration?: string
    disposition?: { attached_pic?: number }
    side_data_list?: { rotation?: number }[]
  }[]
  format?: { duration?: string; format_name?: string }
}

const PROBED = 'stream=codec_type,codec_name,width,height,avg_frame_rate,nb_frames,duration:' +
  'stream_disposition=attached_pic:stream_side_data=rotation:format=duration,format_name'

/** @throws EdgeInferError BAD_IMAGE, FFMPEG_UNAVAILABLE */
async function probeVideo(path: string): Promise<VideoInfo> {
  const { code, signal, stdout, stderr } = await output('ffprobe', [
    '-hide_banner', '-loglevel', 'error', ...ONLY_FILES, '-show_entries', PROBED, '-of', 'json', `file:${path}`,
  ])
  if (code !== 0) {
    const reason = stderr.trim().split('\n').at(-1)?.replace(`file:${path}: `, '') || endingText({ code, signal })
    throw new EdgeInferError('BAD_IMAGE', `Expected a video that ffmpeg reads but received ${path}: ${reason}`)
  }
  const { streams = [], format } = JSON.parse(stdout) as Probe
  const pictures = streams.find((stream) => stream.codec_type === 'video' && stream.disposition?.attached_pic !== 1)
  const { width = 0, height = 0 } = pictures ?? {}
  if (pictures === undefined || width < 1 || height < 1) {
    throw new EdgeInferError('BAD_IMAGE', `Expected a video but received ${path}, in which ffmpeg finds no pictures`)
  }
  const rotation = pictures.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? 0
  const isTurned = Math.abs(Math.round(rotation / 90)) % 2 === 1
  const [frames = 0, seconds = 0] = pictures.avg_frame_rate?.split('/').map(Number) ?? []
  const framesPerSecond = positive(frames / seconds)
  const count = Number(pictures.nb_frames)
  const container = format?.format_name ?? ''
  const isAvi = container === 'avi'
  return {
    width: isTurned ? height : width,
    height: isTurned ? width : height,
    framesPerSecond,
    // AVI counts ticks; its duration is what is there, were it cut off.
    frameCount: isAvi ? undefined : positive(count),
    duration: positive(1000 * (isAvi ? count / (framesPerSecond ?? 0) : Number(pictures.duration ?? format?.duration))),
    container,
    soundCodec: streams.find((stream) => stream.codec_type === 'audio')?.codec_name,
  }
}

function positive(value: number): number | undefined {
  return value > 0 && value < Infinity ? value : undefined
}
