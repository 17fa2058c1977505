/** A video file of frames, encoded by ffmpeg. */
import { rename, realpath, rm } from 'node:fs/promises'
import { extname } from 'node:path'
import { EdgeInferError } from '../errors.js'
import {
  endingText, ONLY_FILES, passthroughOptions, startFfmpeg, type Ending, type Ffmpeg, type FfmpegLog,
} from './ffmpeg.js'
import { frameHeader, matroskaHeader } from './matroska.js'

export interface WriteOptions {
  /** Pixels of every frame. An odd side is padded by one. */
  width: number
  height: number
  /** The mean, or what comes near it. */
  framesPerSecond: number
  /** The file whose sound is taken, and how that is encoded. */
  sound?: { path: string; codec: string } | undefined
}

/** Containers of the MP4 kind: written in fragments, so that what is written can be played however it ends. */
const FRAGMENTED: readonly string[] = ['.mp4', '.mov']
const FRAGMENTS = ['-movflags', '+frag_keyframe+empty_moov+default_base_moof']

/** Sound that all of the containers take as it is. */
const COPIED_SOUND: readonly string[] = ['aac', 'mp3', 'ac3']

/**
 * H.264 as every browser plays it; a key frame every two seconds. No frame refers to a later one: the length of a
 * video of varying rate would be told wrongly, and AVI cannot say it.
 */
const ENCODING = [
  '-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p',
  '-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709',
  '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-bf', '0',
  '-force_key_frames', 'expr:gte(t,n_forced*2)',
]

/** AVI knows no times of frames: they are repeated or left out to keep the rate. */
async function timingOptions(type: string, framesPerSecond: number): Promise<string[]> {
  if (type === '.avi') return ['-r', String(framesPerSecond)]
  return [...await passthroughOptions(), '-enc_time_base', '1:90000']
}

export class VideoWriter {
  readonly #path: string
  readonly #type: string
  readonly #options: WriteOptions
  readonly #ffmpeg: Ffmpeg
  #first: number | undefined
  #last = 0
  #closing: Promise<void> | undefined

  private constructor(path: string, options: WriteOptions, timing: readonly string[]) {
    const { width, height } = options
    this.#path = path
    this.#type = extname(path).toLowerCase()
    this.#options = options
    this.#ffmpeg = startFfmpeg([
      '-f', 'matroska', '-i', 'pipe:0', ...ENCODING, ...timing, ...FRAGMENTED.includes(this.#type) ? FRAGMENTS : [],
      '-y', `file:${path}`,
    ])
    this.#ffmpeg.stdin.write(matroskaHeader(width, height))
  }

  /**
   * Starts to write a file whose container follows from its extension: .mp4, .mov, .mkv or .avi.
   * @throws EdgeInferError FFMPEG_UNAVAILABLE: there is no ffmpeg
   */
  static async open(path: string, options: WriteOptions): Promise<VideoWriter> {
    return new VideoWriter(path, options, await timingOptions(extname(path).toLowerCase(), options.framesPerSecond))
  }

  /**
   * BGR pixels, row by row, and their time in milliseconds, later than the one before. Resolves when ffmpeg has taken
   * them.
   * @throws EdgeInferError as `close` does, once ffmpeg has ended.
   */
  async write(frame: Uint8Array, timestamp: number): Promise<void> {
    const { stdin } = this.#ffmpeg
    this.#first ??= timestamp
    this.#last = timestamp
    stdin.write(frameHeader(timestamp, frame.length))
    const isTaken = await new Promise<boolean>((resolve) => { stdin.write(frame, (error) => resolve(!error)) })
    if (!isTaken) await this.close()
  }

  /**
   * Completes the file: adds the sound, and puts the index of an MP4 file before its frames. What is written up to an
   * error can be played.
   * @throws EdgeInferError NOT_WRITTEN: the disk is full or broken; BAD_OPTION: it cannot be written there;
   * FFMPEG_UNAVAILABLE: ffmpeg cannot encode H.264, or was killed.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close()
  }

  async #close(): Promise<void> {
    const { stdin, ended, log } = this.#ffmpeg
    stdin.end()
    this.#expectWritten(await ended, log)
    if (this.#first === undefined) return
    if (FRAGMENTED.includes(this.#type) || this.#options.sound) await this.#complete(this.#first)
  }

  async #complete(first: number): Promise<void> {
    const { framesPerSecond, sound } = this.#options
    const written = await realpath(this.#path)
    const part = `${written.slice(0, -this.#type.length)}.part-${process.pid}${this.#type}`
    const { ended, log } = startFfmpeg([
      // The sound may begin before the pictures do.
      '-itsoffset', String(first / 1000), ...ONLY_FILES, '-i', `file:${written}`,
      ...sound ? [...ONLY_FILES, '-i', `file:${sound.path}`] : [],
      '-map', '0:v', '-c', 'copy', ...sound ? ['-map', '1:a:0'] : [],
      ...sound && !COPIED_SOUND.includes(sound.codec) ? ['-c:a', 'aac'] : [],
      '-t', String(this.#last / 1000 + 1 / framesPerSecond),
      ...FRAGMENTED.includes(this.#type) ? ['-movflags', '+faststart'] : [], '-y', `file:${part}`,
    ])
    try {
      this.#expectWritten(await ended, log)
      await rename(part, written)
    } finally {
      await rm(part, { force: true })
    }
  }

  #expectWritten(ending: Ending, log: FfmpegLog): void {
    if (ending.code === 0 && !log.failedToWrite) return
    const code = ending.signal !== null || /Unknown encoder/.test(log.reason) ? 'FFMPEG_UNAVAILABLE'
      : /No space left|quota|File too large|Input\/output error/i.test(log.reason) ? 'NOT_WRITTEN' : 'BAD_OPTION'
    throw new EdgeInferError(
      code, `${this.#path} cannot be written: ffmpeg ended with ${endingText(ending)}: ${log.reason}`)
  }
}
