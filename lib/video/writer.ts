/** A video file of frames, encoded by ffmpeg. */
import { EdgeInferError } from '../errors.js'
import { endingText, startFfmpeg, type Ffmpeg } from './ffmpeg.js'

export interface WriteOptions {
  /** Pixels of every frame. An odd side is padded by one. */
  width: number
  height: number
  framesPerSecond: number
}

/** H.264 as every browser plays it. */
const ENCODING = [
  '-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p',
  '-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709',
  '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-movflags', '+faststart',
]

export class VideoWriter {
  readonly #path: string
  readonly #ffmpeg: Ffmpeg
  #closing: Promise<void> | undefined

  /** The container follows from the extension. */
  constructor(path: string, { width, height, framesPerSecond }: WriteOptions) {
    this.#path = path
    this.#ffmpeg = startFfmpeg([
      '-f', 'rawvideo', '-pixel_format', 'bgr24', '-video_size', `${width}x${height}`,
      '-framerate', String(framesPerSecond), '-i', 'pipe:0', ...ENCODING, '-y', `file:${path}`,
    ])
  }

  /**
   * BGR pixels, row by row. Resolves when ffmpeg has taken them.
   * @throws EdgeInferError as `close` does, once ffmpeg has ended.
   */
  async write(frame: Uint8Array): Promise<void> {
    const isTaken = await new Promise<boolean>((resolve) => {
      this.#ffmpeg.stdin.write(frame, (error) => resolve(!error))
    })
    if (!isTaken) await this.close()
  }

  /**
   * Completes the file.
   * @throws EdgeInferError NOT_WRITTEN: the disk is full or broken; BAD_OPTION: it cannot be written there;
   * FFMPEG_UNAVAILABLE: there is no ffmpeg, or it was killed.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close()
  }

  async #close(): Promise<void> {
    const { stdin, ended, log } = this.#ffmpeg
    stdin.end()
    const ending = await ended
    if (ending.code === 0 && !log.failedToWrite) return
    const code = ending.signal !== null || /Unknown encoder/.test(log.reason) ? 'FFMPEG_UNAVAILABLE'
      : /No space left|quota|File too large|Input\/output error/i.test(log.reason) ? 'NOT_WRITTEN' : 'BAD_OPTION'
    throw new EdgeInferError(
      code, `${this.#path} cannot be written: ffmpeg ended with ${endingText(ending)}: ${log.reason}`)
  }
}
