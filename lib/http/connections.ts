/** How many connections a server has at once. */
import type { Server } from 'node:http'
import type { Logger } from 'pino'
import { readDescriptors } from '../host/index.js'

/** Descriptors left to workers that are added, to files and to connections to other nodes. */
const RESERVED_DESCRIPTORS = 64
const MIN_CONNECTIONS = 16
const LOG_EVERY_MS = 10_000

/** At most `max`, and as many as the descriptors allow that this process may yet open; more are closed at once. */
export function boundConnections(server: Server, max: number, log: Logger): void {
  const { open, limit } = readDescriptors()
  const connections = Math.min(max, Math.max(MIN_CONNECTIONS, limit - open - RESERVED_DESCRIPTORS))
  server.maxConnections = connections
  let loggedAt = -Infinity
  server.on('drop', () => {
    const now = performance.now()
    if (now - loggedAt < LOG_EVERY_MS) return
    loggedAt = now
    log.warn({ connections }, 'connections are refused: as many as this process may have are open')
  })
}
