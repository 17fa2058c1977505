/** Bounds on what one client may cost the server. Times in milliseconds, sizes in bytes. */
export interface HttpSettings {
  /** The largest body of a task route. */
  bodyLimit: number
  /** The largest body of every other route. */
  controlBodyLimit: number
  /** Bodies, and images taken out of them, of all requests together; what comes beyond is refused with QUEUE_FULL. */
  bufferedBytes: number
  maxHeaderSize: number
  maxConnections: number
  /** From the first byte of a request to the end of its head. */
  headersTimeout: number
  /** From the first byte of a request to its last. */
  requestTimeout: number
  /** The longest pause while a body arrives. */
  bodyStallTimeout: number
  /** The longest pause while an answer is sent. */
  sendTimeout: number
  /** How long an idle connection is kept. */
  keepAliveTimeout: number
  /** How often the first two are checked. */
  timeoutCheckInterval: number
  /** While draining: how long a connection may stay idle before it is closed. */
  drainIdle: number
}

const MEBIBYTE = 2 ** 20

/**
 * Of `memoryBytes`, what this node may use, so much for bodies at most. Images are copied once on the way to a worker
 * and take more than their text while they are parsed: figures in docs/engineering/memory.md.
 */
const BUFFERED_SHARE = 1 / 8
/** Of that, for one body. */
const BODY_SHARE = 1 / 2

export function defaultSettings(memoryBytes: number): Readonly<HttpSettings> {
  const bufferedBytes = Math.min(512 * MEBIBYTE, Math.floor(memoryBytes * BUFFERED_SHARE))
  return {
    bodyLimit: Math.min(64 * MEBIBYTE, Math.floor(bufferedBytes * BODY_SHARE)),
    controlBodyLimit: 64 * 1024,
    bufferedBytes,
    maxHeaderSize: 16 * 1024,
    maxConnections: 1024,
    headersTimeout: 10_000,
    requestTimeout: 60_000,
    bodyStallTimeout: 10_000,
    sendTimeout: 60_000,
    keepAliveTimeout: 65_000,
    timeoutCheckInterval: 1000,
    drainIdle: 1000,
  }
}
