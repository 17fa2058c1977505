/**
 * A host's side of the cluster: it beats at its cloud, so joins it, and joins it again after either side has been
 * away. An older cloud, which knows no beats, is told of the host and asks for its status itself.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { NodeAddress } from './address.js'
import { PeerClient, type PeerAnswer } from './http.js'
import { DEFAULT_INTERVAL_MS, type Heartbeat } from './status.js'
import type { NodeStatus, Standing } from './types.js'

export interface HostAgentOptions {
  /** `http://…:5500` */
  cloud: string
  /** As callers reach this node. */
  self: NodeAddress
  readStatus(): NodeStatus
  token?: string | undefined
  ca?: string | undefined
  /** Milliseconds between beats. */
  intervalMs?: number | undefined
  /** Address of this machine to call from: an older cloud takes it for the node's. */
  localAddress?: string | undefined
  log: Logger
}

/** Beats spread by this share of the interval, so that many hosts do not beat in step. */
const JITTER = 0.1
/** An older cloud is told again after so many intervals: it may have been restarted. */
const OLD_CLOUD_BEATS = 15
const MIN_TIMEOUT_MS = 2000
const LEAVE_TIMEOUT_MS = 2000
const MAX_BYTES = 64 * 1024
/** Not found, method not allowed, not implemented: what servers answer that know no beats. */
const OLD_CLOUD_STATUSES: readonly number[] = [404, 405, 501]

export class HostAgent {
  readonly #options: HostAgentOptions
  readonly #instance = randomUUID()
  readonly #intervalMs: number
  readonly #peer: PeerClient
  #standing: Standing = 'not yet asked'
  #reason: string | undefined
  /** The cloud has heard it: it may know it still, even where it does not answer now. */
  #heard = false
  #timer: NodeJS.Timeout | undefined
  #beating: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: HostAgentOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS
    this.#peer = new PeerClient({
      ca: options.ca,
      timeoutMs: Math.max(MIN_TIMEOUT_MS, this.#intervalMs),
      mostBytes: MAX_BYTES,
      localAddress: options.localAddress,
    })
  }

  get standing(): Standing {
    return this.#standing
  }

  /** Why it is refused or unreachable. */
  get reason(): string | undefined {
    return this.#reason
  }

  get cloud(): string {
    return this.#options.cloud
  }

  start(): void {
    if (!this.#stopped) this.#beating = this.#beat()
  }

  /** Tells the cloud that this host leaves; does not wait long for it. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#timer)
    await Promise.race([this.#leave(), new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT_MS).unref())])
    await this.#peer.close()
    await this.#beating
  }

  /** After a beat that is under way, which would undo it. */
  async #leave(): Promise<void> {
    await this.#beating
    if (!this.#heard) return
    const { self: { ip, port }, token } = this.#options
    await this.#peer.post(this.#url('/cluster/leave'), { ip, port, instance: this.#instance }, token).catch(() => {})
  }

  async #beat(): Promise<void> {
    const wait = await this.#tell()
    if (this.#stopped) return
    const jitter = 1 + JITTER * (2 * Math.random() - 1)
    this.#timer = setTimeout(() => { this.#beating = this.#beat() }, wait * jitter).unref()
  }

  /** @returns milliseconds until the next beat */
  async #tell(): Promise<number> {
    try {
      const { self: { ip, port, scheme }, readStatus } = this.#options
      const beat: Heartbeat = {
        ip, port, scheme, instance: this.#instance, interval_ms: this.#intervalMs, ...readStatus(),
      }
      const answer = await this.#peer.post(this.#url('/cluster/heartbeat'), beat, this.#options.token)
      if (OLD_CLOUD_STATUSES.includes(answer.status)) return await this.#registerWithOldCloud()
      if (answer.status < 300) {
        this.#heard = true
        this.#stand('joined')
      } else this.#stand('refused', reasonOf(answer))
    } catch (error) {
      if (!this.#stopped) this.#stand('unreachable', error instanceof Error ? error.message || error.name : String(error))
    }
    return this.#intervalMs
  }

  async #registerWithOldCloud(): Promise<number> {
    const answer = await this.#peer.get(this.#url('/register_edge'))
    if (answer.status < 300) {
      this.#stand('registered with an older cloud')
      return OLD_CLOUD_BEATS * this.#intervalMs
    }
    this.#stand('refused', reasonOf(answer))
    return this.#intervalMs
  }

  /** Says so once, when the standing or the reason changes. */
  #stand(standing: Standing, reason?: string): void {
    if (standing === this.#standing && reason === this.#reason) return
    const before = this.#standing
    this.#standing = standing
    this.#reason = reason
    const level = standing === 'joined' || standing === 'registered with an older cloud' ? 'info' : 'warn'
    this.#options.log[level]({ cloud: this.#options.cloud, before, reason }, `cluster: ${standing}`)
  }

  #url(path: string): string {
    return new URL(path, this.#options.cloud).href
  }
}

const LONGEST_REASON = 200

function reasonOf({ status, body }: PeerAnswer): string {
  const { error } = (body ?? {}) as { error?: { message?: unknown } | null }
  const message = error?.message
  return typeof message === 'string' ? message.slice(0, LONGEST_REASON) : `status ${status}`
}
