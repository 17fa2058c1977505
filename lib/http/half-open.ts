/** Callers that end their side of the connection after their request and wait for the answer. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { isAwaitingAnswer } from './lifecycle.js'

/** What every answer begins with, whatever its status. */
const OPENING = 'HTTP/1.1 '

/** Milliseconds from one byte of it to the next: the second comes soon, the last after half a minute. */
const waitAfter = (sent: number): number => Math.min(8 * 3 ** (sent - 1), 20_000)

/**
 * Answers callers that have ended their side. One that is gone has ended its side as well, and the difference shows
 * only when something is sent: its system refuses it. So the bytes that every answer begins with are sent ahead, one by
 * one, while the answer is made; where they are refused the connection closes, which cancels the work.
 */
export function serveHalfOpen(server: Server): void {
  // @types/node does not have it.
  Object.assign(server, { httpAllowHalfOpen: true })
  const watch = (socket: Socket): void => void socket.once('end', () => sendAhead(socket))
  server.on('secureConnection', watch).on('connection', watch)
}

function sendAhead(socket: Socket): void {
  const write = socket.write.bind(socket) as (data: string | Uint8Array, ...rest: unknown[]) => boolean
  let sent = 0
  let timer: NodeJS.Timeout | undefined
  const sendNext = (): void => {
    if (sent < OPENING.length && isAwaitingAnswer(socket)) write(OPENING.charAt(sent++))
    timer = setTimeout(sendNext, waitAfter(sent)).unref()
  }
  socket.write = (data: string | Uint8Array, ...rest: unknown[]): boolean => {
    const begin = sent
    sent = 0
    return write(typeof data === 'string' ? data.slice(begin) : data.subarray(begin), ...rest)
  }
  socket.once('close', () => clearTimeout(timer))
  sendNext()
}
