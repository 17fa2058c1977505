/**
 * A host's side of the cluster: it beats at its cloud, so joins it, and joins it again after either side has been
 * away. An older cloud, which knows no beats, is told of the host and asks for its status itself.
 */
import type { Logger } from 'pino'
import { PeerClient } from './http.js'
import type { Heartbeat, NodeStatus } from './status.js'

export interface HostAgentOptions {
  /** `http://…:5500` */
  cloud: string
  /** As callers reach this node; the cloud takes the address it sees when there is no IP. */
  advertise: { ip: string | undefined; port: number; scheme: 'http' | 'https' }
  readStatus(): NodeStatus
  token?: string | undefined
  ca?: string | undefined
  intervalMs?: number | undefined
  log: Logger
}

const DEFAULT_INTERVAL_MS = 2000
/** Beats spread by this share of the interval, so that many hosts do not beat in step. */
const JITTER = 0.1
/** How often an older cloud is told again: it may have been restarted. */
const OLD_CLOUD_INTERVAL_MS = 30_000
const LEAVE_TIMEOUT_MS = 2000

type Standing = 'unknown' | 'joined' | 'registered with an older cloud' | 'refused' | 'unreachable'

export class HostAgent {
  readonly #options: HostAgentOptions
  readonly #intervalMs: number
  readonly #peer: PeerClient
  #standing: Standing = 'unknown'
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: HostAgentOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS
    this.#peer = new PeerClient({ ca: options.ca, timeoutMs: Math.max(2000, this.#intervalMs) })
  }

  get standing(): Standing {
    return this.#standing
  }

  start(): void {
    void this.#beat()
  }

  /** Tells the cloud that this host leaves; does not wait long for it. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#timer)
    if (this.#standing === 'joined') {
      const leave = this.#peer.post(this.#url('/cluster/leave'), this.#address(), this.#options.token).catch(() => {})
      await Promise.race([leave, new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT_MS).unref())])
    }
    await this.#peer.close()
  }

  async #beat(): Promise<void> {
    let wait = this.#intervalMs
    try {
      const beat: Heartbeat = {
        ...this.#address(), interval_ms: this.#intervalMs, ...this.#options.readStatus(),
      }
      const { status, body } = await this.#peer.post(this.#url('/cluster/heartbeat'), beat, this.#options.token)
      if (status < 300) this.#stand('joined')
      else if (status === 404 || status === 405) {
        await this.#registerWithOldCloud()
        wait = OLD_CLOUD_INTERVAL_MS
      } else this.#stand('refused', { status, error: (body as { error?: unknown } | undefined)?.error })
    } catch (error) {
      this.#stand('unreachable', { reason: error instanceof Error ? error.message : String(error) })
    }
    if (this.#stopped) return
    const jitter = 1 + JITTER * (2 * Math.random() - 1)
    this.#timer = setTimeout(() => void this.#beat(), wait * jitter)
    this.#timer.unref()
  }

  async #registerWithOldCloud(): Promise<void> {
    const { status } = await this.#peer.get(this.#url('/register_edge'))
    if (status < 300) this.#stand('registered with an older cloud')
    else this.#stand('refused', { status })
  }

  /** Says so once, when the standing changes. */
  #stand(standing: Standing, details: Record<string, unknown> = {}): void {
    if (standing === this.#standing) return
    const before = this.#standing
    this.#standing = standing
    const good = standing === 'joined' || standing === 'registered with an older cloud'
    this.#options.log[good ? 'info' : 'warn']({ cloud: this.#options.cloud, before, ...details }, `cluster: ${standing}`)
  }

  #address(): Pick<Heartbeat, 'ip' | 'port' | 'scheme'> {
    const { ip, port, scheme } = this.#options.advertise
    return { ip, port, scheme }
  }

  #url(path: string): string {
    return new URL(path, this.#options.cloud).href
  }
}
