import pino, { type Level, type Logger } from 'pino'
import pretty from 'pino-pretty'

const STDOUT = 1

/** Standard output: for people on a terminal, else one JSON object a line, written in the background. */
export function createLog(level: Level | 'silent'): Logger {
  if (process.stdout.isTTY) {
    return pino(
      { level }, pretty({ colorize: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true }),
    )
  }
  const destination = pino.destination({ dest: STDOUT, sync: false })
  // A reader that has gone is no reason to stop serving.
  destination.on('error', () => {})
  return pino({ level, base: null }, destination)
}
