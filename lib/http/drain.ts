/** Stops a server without losing a request that has reached it. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { setImmediate as afterPolling } from 'node:timers/promises'

/** A turn of the event loop in which nothing but new connections was looked for, and how long one is waited for. */
const QUIET_TURN_MS = 0.05
const LONGEST_WAIT_MS = 500
const CHECK_MS = 100

/** The sockets of a server that never sent a byte; Node.js counts them as busy. */
export function trackSilent(server: Server): ReadonlySet<Socket> {
  const silent = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('request', ({ socket }) => silent.delete(socket))
  return silent
}

/**
 * Accepts no more connections and resolves when the last one has closed. `onClosing` is called when the door is shut:
 * answers are to tell callers from then on that their connection closes (not before, or they would come back by a new
 * one). A connection without a request is closed after `idleMs`, since one may be under way on it.
 */
export async function drainConnections(
  server: Server, silent: ReadonlySet<Socket>, idleMs: number, onClosing: () => void,
): Promise<void> {
  await quietTurn()
  const closed = once(server, 'close')
  // `close` of an HTTP server would cut idle connections off at once.
  NetServer.prototype.close.call(server)
  onClosing()
  const since = performance.now()
  const closeIdle = (): void => {
    if (performance.now() - since < idleMs) return
    server.closeIdleConnections()
    for (const socket of silent) if (socket.bytesRead === 0) socket.destroy()
  }
  // Right after polling: a request that has arrived is read by then, and its connection is not idle any more.
  const check = setInterval(() => setImmediate(closeIdle), CHECK_MS)
  await closed
  clearInterval(check)
}

/**
 * The kernel resets connections that it has accepted on our behalf and that were not taken when the door is shut:
 * that is done right after a turn that took all there were and did nothing else.
 */
async function quietTurn(): Promise<void> {
  const end = performance.now() + LONGEST_WAIT_MS
  await afterPolling()
  for (let begin = performance.now(); ; begin = performance.now()) {
    await afterPolling()
    const now = performance.now()
    if (now - begin < QUIET_TURN_MS || now > end) return
  }
}
