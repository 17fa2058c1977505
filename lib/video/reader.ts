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
  /** Milliseconds, where the file tells. */
  duration: number | undefined
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
  /** Whether the file ends before its end. */
  isCut: boolean
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

/**
 * Opens a video file of any container and codec that ffmpeg reads. Its frames can be iterated over once; ffmpeg decodes
 * no more than a few frames ahead, and ends when the iteration does.
 * @throws EdgeInferError BAD_IMAGE: it is no video; FFMPEG_UNAVAILABLE: there is no ffmpeg. The iteration throws the
 * same where ffmpeg fails or is killed before the end.
 */
export async function openVideo(path: string, { maxFrames }: ReadOptions = {}): Promise<VideoReader> {
  const [passthrough, info] = await Promise.all([passthroughOptions(), probeVideo(path)])
  const damage: Damage = { undecoded: 0, corrupt: 0, isCut: false }
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
  const { child, stdout, report, log, ended } = startFfmpeg(args)
  const timestamps = timestampsOf(report, info)
  let frames = 0
  try {
    for await (const data of blocksOf(stdout, width * height * 3)) {
      const timestamp = await timestamps.next()
      yield { data, width, height, channels: 3, order: 'bgr', timestamp: timestamp.value ?? 0 }
      frames += 1
    }
    const ending = await ended
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

/** What the file promises counts only where ffmpeg complained: an edit list leaves frames out, too. */
function damageOf(log: FfmpegLog, info: VideoInfo, frames: number, maxFrames = Infinity): Damage {
  const { undecoded, corrupt, isCut } = log
  const complains = undecoded > 0 || isCut
  const promised = Math.min(info.frameCount ?? 0, maxFrames)
  return { undecoded: complains ? Math.max(undecoded, promised - frames) : 0, corrupt, isCut }
}

interface Probe {
  streams?: {
    width?: number
    height?: number
    avg_frame_rate?: string
    nb_frames?: string
    side_data_list?: { rotation?: number }[]
  }[]
  format?: { duration?: string }
}

const PROBED = 'stream=width,height,avg_frame_rate,nb_frames:stream_side_data=rotation:format=duration'

/** @throws EdgeInferError BAD_IMAGE, FFMPEG_UNAVAILABLE */
async function probeVideo(path: string): Promise<VideoInfo> {
  const { code, signal, stdout, stderr } = await output('ffprobe', [
    '-hide_banner', '-loglevel', 'error', ...ONLY_FILES, '-select_streams', 'V:0', '-show_entries', PROBED,
    '-of', 'json', `file:${path}`,
  ])
  if (code !== 0) {
    const reason = stderr.trim().split('\n').at(-1)?.replace(`file:${path}: `, '')
    throw new EdgeInferError(
      'BAD_IMAGE', `Expected a video that ffmpeg reads but received ${path}: ${reason ?? endingText({ code, signal })}`)
  }
  const { streams: [stream] = [], format } = JSON.parse(stdout) as Probe
  const { width = 0, height = 0 } = stream ?? {}
  if (stream === undefined || width < 1 || height < 1) {
    throw new EdgeInferError('BAD_IMAGE', `Expected a video but received ${path}, in which ffmpeg finds no pictures`)
  }
  const rotation = stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? 0
  const isTurned = Math.abs(Math.round(rotation / 90)) % 2 === 1
  const duration = positive(1000 * Number(format?.duration))
  const [frames = 0, seconds = 0] = stream.avg_frame_rate?.split('/').map(Number) ?? []
  return {
    width: isTurned ? height : width,
    height: isTurned ? width : height,
    framesPerSecond: positive(frames / seconds),
    frameCount: positive(Number(stream.nb_frames)),
    duration,
  }
}

function positive(value: number): number | undefined {
  return value > 0 && value < Infinity ? value : undefined
}
