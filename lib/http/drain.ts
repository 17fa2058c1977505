/** Stops a server without losing a request that has reached it. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { setImmediate as afterPolling, setTimeout as delay } from 'node:timers/promises'

/** What the kernel has accepted on our behalf is taken before the door is closed. */
const BACKLOG_MS = 50
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
 * Accepts no more connections and resolves when the last one has closed. Answers are to tell callers from now on that
 * their connection closes; a connection without a request is closed after `idleMs`, since one may be under way on it.
 */
export async function drainConnections(server: Server, silent: ReadonlySet<Socket>, idleMs: number): Promise<void> {
  await delay(BACKLOG_MS)
  await afterPolling()
  const closed = once(server, 'close')
  // `close` of an HTTP server would cut idle connections off at once.
  NetServer.prototype.close.call(server)
  const since = performance.now()
  const check = setInterval(() => {
    if (performance.now() - since < idleMs) return
    server.closeIdleConnections()
    for (const socket of silent) if (socket.bytesRead === 0) socket.destroy()
  }, CHECK_MS)
  await closed
  clearInterval(check)
}
