/** What the commands write: results on standard output, words for people on standard error. */
import { writeSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { writeError } from '../errors.js'

/** 128 + SIGPIPE: what a shell reports of a program whose reader has gone. */
export const EXIT_READER_GONE = 141

const STDOUT = 1

let isGone = false
let onReaderGone: () => void = () => process.exit()

/**
 * A reader of standard output that has gone ends the program, without a word. Standard error is done without.
 * To be called before anything is written.
 */
export function guardOutputs(): void {
  process.stdout.on('error', () => {
    isGone = true
    process.exitCode = EXIT_READER_GONE
    onReaderGone()
  })
  process.stderr.on('error', () => {})
}

/** `stop` ends the program in order once the reader of standard output has gone; without it, it ends at once. */
export function stopWhenReaderGone(stop: () => void): void {
  onReaderGone = stop
}

/** The program goes on without a reader of standard output. */
export function outliveReader(): void {
  process.stdout.removeAllListeners('error').on('error', () => {})
}

export function isReaderGone(): boolean {
  return isGone
}

/** Results. @throws EdgeInferError NOT_WRITTEN where standard output is a file and the disk is full. */
export function print(text: string): void {
  if (process.stdout instanceof Socket) {
    process.stdout.write(text)
    return
  }
  // The stream of Node.js takes a write that a full disk has cut short for one that was done.
  try {
    for (let rest = Buffer.from(text); rest.length > 0;) rest = rest.subarray(writeSync(STDOUT, rest))
  } catch (cause) {
    throw writeError('Standard output', cause as Error)
  }
}

/** A file that was asked for. @throws EdgeInferError NOT_WRITTEN, BAD_OPTION: `what` cannot be written, and why. */
export async function writeResult(path: string, data: Uint8Array, what = path): Promise<void> {
  await writeFile(path, data).catch((cause: Error) => { throw writeError(what, cause) })
}

export function printLine(text: string): void {
  print(`${text}\n`)
}

/** For people, apart from the results. */
export function say(text: string): void {
  process.stderr.write(text)
}
