/** The log of `edge-infer serve` and what it says to people. It serves on without a reader; what is lost is counted. */
import { write } from 'node:fs'
import { Socket } from 'node:net'
import { Writable } from 'node:stream'
import pino, { type Level, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'

const STDOUT = 1
/** Bytes that may wait for a slow reader; lines beyond are lost. */
const MAX_WAITING = 1 << 20

/** How long the last lines may take. */
const MAX_FLUSH_MS = 1000

const lost = { stdout: 0, stderr: 0 }

/** Lines of the log (`stdout`) and for people (`stderr`) that nobody took. */
export function lostLines(): Readonly<Record<string, number>> {
  return lost
}

/** On standard output: for people on a terminal, else one JSON object a line, written in the background. */
export function createLog(level: Level | 'silent'): Logger {
  const form = process.stdout.isTTY
    ? prettyFactory({ colorize: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
    : String
  const lines = new Writable({
    write(line: Buffer, _encoding, done) {
      writeLine(line, (error) => {
        if (error) lost.stdout += 1
        done()
      })
    },
  })
  return pino({ level, base: null }, {
    write(line: string) {
      if (lines.writableLength > MAX_WAITING) lost.stdout += 1
      else lines.write(form(line))
    },
  })
}

/** The program ends although nobody takes its last lines. */
export function endWithoutReaders(): void {
  setTimeout(() => process.exit(), MAX_FLUSH_MS).unref()
}

/** For people, apart from the log. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`, (error) => { if (error) lost.stderr += 1 })
}

type Done = (error: Error | null | undefined) => void

/** A pipe is written without blocking: where its reader stands still the program can still end. */
function writeLine(line: Buffer, done: Done): void {
  if (process.stdout instanceof Socket) process.stdout.write(line, done)
  else writeToFile(line, done)
}

/** Whether a line was begun that a full disk did not take to its end. */
let isCut = false

function writeToFile(line: Buffer, done: Done): void {
  const next = isCut ? Buffer.concat([Buffer.from('\n'), line]) : line
  writeRest(next, (error, rest) => {
    isCut = error ? rest < next.length || isCut : false
    done(error)
  })
}

function writeRest(rest: Buffer, done: (error: Error | null, rest: number) => void): void {
  write(STDOUT, rest, (error, written) => {
    if (error ?? written === rest.length) done(error, rest.length)
    else writeRest(rest.subarray(written), done)
  })
}
