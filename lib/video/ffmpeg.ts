/** The programs `ffmpeg` and `ffprobe`: how they are started, what they say, how they end. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { EdgeInferError } from '../errors.js'

/** Of every call. Messages carry their level; nothing is read from the terminal. */
const COMMON_OPTIONS = ['-nostdin', '-hide_banner', '-loglevel', 'level+warning']

/** What ffmpeg may open for a file: it and nothing on the network, whatever a playlist in it says. */
export const ONLY_FILES = ['-protocol_whitelist', 'file,pipe']

/** Lines of its last errors that are kept. */
const KEPT_ERRORS = 3

export interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
}

/** What ffmpeg has said so far. */
export class FfmpegLog {
  /** Packets it could not decode. */
  undecoded = 0
  /** Frames it decoded with parts missing. */
  corrupt = 0
  /** Whether the file itself is cut off, or broken in places. */
  isBroken = false
  /** Whether something could not be written, which its exit code does not always say. */
  failedToWrite = false
  readonly #lastErrors: string[] = []
  readonly #container: string | undefined

  /** `container`: what ffmpeg calls the one that is read, under which name it complains of the file. */
  constructor(container?: string) {
    this.#container = container
  }

  /** `[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55a8c93dba40] [error] stream 0, offset 0x1b03b: partial file` */
  add(line: string): void {
    const [, part, level, message = line] = /^(?:\[(.*?) @ \w+\] )*\[(\w+)\] (.*)/.exec(line) ?? []
    // The words of FFmpeg 4 to 6.0, and those since.
    if (/^(?:Error while decoding stream|Error submitting (?:a )?packet to decoder|Decoding error:)/.test(message)) {
      this.undecoded += 1
    }
    if (message.includes('corrupt decoded frame')) this.corrupt += 1
    if (message.includes('corrupt input packet')) this.isBroken = true
    if (/Error (?:writing|closing|muxing)|write_frame\(\)/.test(message)) this.failedToWrite = true
    if (level !== 'error' && level !== 'fatal') return
    // A chapter track that is missing is of no use to us.
    const isOfFile = part !== undefined && part === this.#container && !message.includes('chapter')
    if (isOfFile || /error while decoding MB|damaged/.test(message)) this.isBroken = true
    this.#lastErrors.push(message)
    if (this.#lastErrors.length > KEPT_ERRORS) this.#lastErrors.shift()
  }

  /** Its last errors in one line, or that there was none. */
  get reason(): string {
    return this.#lastErrors.join('; ') || 'it gave no reason'
  }
}

export interface Ffmpeg {
  child: ChildProcess
  stdin: Writable
  stdout: Readable
  /** Descriptor 3 of the program. */
  report: Readable
  log: FfmpegLog
  /** Resolves when it has ended and said all. @throws EdgeInferError FFMPEG_UNAVAILABLE: there is no such program. */
  ended: Promise<Ending>
}

/**
 * Starts ffmpeg in a process group of its own, so that Ctrl-C in a terminal is for its parent alone. It ends when the
 * parent does, however that ends: its pipes close.
 */
export function startFfmpeg(args: readonly string[], container?: string): Ffmpeg {
  const child = spawn('ffmpeg', [...COMMON_OPTIONS, ...args], {
    detached: true, stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: { ...process.env, AV_LOG_FORCE_NOCOLOR: '1' },
  })
  const [stdin, stdout, stderr, report] = child.stdio as unknown as [Writable, Readable, Readable, Readable]
  const log = new FfmpegLog(container)
  createInterface({ input: stderr }).on('line', (line) => log.add(line))
  // Its end tells; a pipe that breaks says no more.
  for (const pipe of [stdin, stdout, report]) pipe.on('error', () => {})
  const ended = endingOf(child, 'ffmpeg')
  ended.catch(() => {})
  return { child, stdin, stdout, report, log, ended }
}

async function endingOf(child: ChildProcess, program: string): Promise<Ending> {
  try {
    const [code, signal] = await once(child, 'close') as [Ending['code'], Ending['signal']]
    return { code, signal }
  } catch (cause) {
    const message = (cause as NodeJS.ErrnoException).code === 'ENOENT'
      ? `Videos need the program ${program}, which is not on this machine. On Debian and Ubuntu run ` +
        '"apt-get install --no-install-recommends ffmpeg"'
      : `The program ${program} cannot be started: ${(cause as Error).message}`
    throw new EdgeInferError('FFMPEG_UNAVAILABLE', message, { cause })
  }
}

/** `exit code 1`, `SIGKILL`. */
export function endingText({ code, signal }: Ending): string {
  return signal ?? `exit code ${code}`
}

/** Runs a program to its end. @throws EdgeInferError FFMPEG_UNAVAILABLE */
export async function output(
  program: 'ffmpeg' | 'ffprobe', args: readonly string[],
): Promise<Ending & { stdout: string; stderr: string }> {
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const [ending, stdout, stderr] = await Promise.all([
    endingOf(child, program), text(child.stdout), text(child.stderr),
  ])
  return { ...ending, stdout, stderr }
}

let version: Promise<string> | undefined

/** `5.1.9-0+deb12u1`; asked for once. @throws EdgeInferError FFMPEG_UNAVAILABLE */
export function ffmpegVersion(): Promise<string> {
  version ??= output('ffmpeg', ['-version'])
    .then(({ stdout }) => /^ffmpeg version (\S+)/.exec(stdout)?.[1] ?? 'unknown')
  version.catch(() => { version = undefined })
  return version
}

/** Every frame once, with the time it has: written as of version 5.1, and before. */
export async function passthroughOptions(): Promise<string[]> {
  const [, major = '', minor = ''] = /^n?(\d+)\.(\d+)/.exec(await ffmpegVersion()) ?? []
  const isOld = major !== '' && (Number(major) < 5 || (major === '5' && minor === '0'))
  return isOld ? ['-vsync', 'passthrough'] : ['-fps_mode', 'passthrough']
}
