/**
 * A host's side of the cluster: it sends heartbeats to its cloud, which join it, and join it again after either side
 * was away. An older cloud knows no heartbeats: the host registers, and the cloud polls it or, of 2024, is told its
 * status.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { toFlatStatus } from '../host/index.js'
import type { NodeAddress } from './address.js'
import { DEFAULT_INTERVAL_MS, TELL_INTERVAL_MS, type Heartbeat } from './heartbeat.js'
import { PeerClient, type PeerAnswer } from './peer-client.js'
import type { ConnectionState, NodeStatus } from './types.js'

export interface HostAgentOptions {
  /** `http://…:5500` */
  cloud: string
  /** As callers reach this node. */
  self: NodeAddress
  readStatus(): NodeStatus
  token?: string | undefined
  ca?: string | undefined
  /** Milliseconds between heartbeats. */
  intervalMs?: number | undefined
  /** Address of this machine to send from: an older cloud takes it for the node's. */
  localAddress?: string | undefined
  log: Logger
}

/** Heartbeats vary by this share of the interval, so that many hosts do not send them in step. */
const JITTER = 0.1
/** The host registers with an older cloud again after so many intervals: it may have been restarted. */
const OLD_CLOUD_INTERVALS = 15
const MIN_TIMEOUT_MS = 2000
const LEAVE_TIMEOUT_MS = 2000
const MAX_BYTES = 64 * 1024
/** Not found, method not allowed, not implemented: a server that knows no heartbeats. */
const OLD_CLOUD_STATUSES: readonly number[] = [404, 405, 501]
const METHOD_NOT_ALLOWED = 405

export class HostAgent {
  readonly #options: HostAgentOptions
  readonly #instance = randomUUID()
  readonly #intervalMs: number
  readonly #peer: PeerClient
  #connectionState: ConnectionState = 'not yet asked'
  #reason: string | undefined
  /** The cloud took a heartbeat: this host may be in its registry, even where the cloud does not answer now. */
  #hasJoined = false
  /** Statuses to tell a cloud of 2024 before it is asked again what it knows. */
  #statusesToTell = 0
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: HostAgentOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS
    this.#peer = new PeerClient({
      ca: options.ca,
      timeoutMs: Math.max(MIN_TIMEOUT_MS, this.#intervalMs),
      maxBytes: MAX_BYTES,
      localAddress: options.localAddress,
    })
  }

  get connectionState(): ConnectionState {
    return this.#connectionState
  }

  /** Why it is refused or unreachable. */
  get reason(): string | undefined {
    return this.#reason
  }

  get cloud(): string {
    return this.#options.cloud
  }

  start(): void {
    if (!this.#stopped) this.#sending = this.#sendRepeatedly()
  }

  /** Deregisters; waits for the cloud for two seconds at most. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#timer)
    await Promise.race([this.#deregister(), new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT_MS).unref())])
    await this.#peer.close()
    await this.#sending
  }

  /** Not before a heartbeat under way has ended: the host would join again. */
  async #deregister(): Promise<void> {
    await this.#sending
    if (!this.#hasJoined) return
    const { self: { ip, port }, token } = this.#options
    await this.#peer.post(this.#url('/cluster/leave'), { ip, port, instance: this.#instance }, token).catch(() => {})
  }

  async #sendRepeatedly(): Promise<void> {
    const wait = await this.#sendHeartbeat()
    if (this.#stopped) return
    const jitter = 1 + JITTER * (2 * Math.random() - 1)
    this.#timer = setTimeout(() => { this.#sending = this.#sendRepeatedly() }, wait * jitter).unref()
  }

  /** @returns milliseconds until the next heartbeat */
  async #sendHeartbeat(): Promise<number> {
    try {
      if (this.#statusesToTell > 0) return await this.#tellStatus()
      const { self: { ip, port, scheme }, readStatus } = this.#options
      const heartbeat: Heartbeat = {
        ip, port, scheme, instance: this.#instance, interval_ms: this.#intervalMs, ...readStatus(),
      }
      const answer = await this.#peer.post(this.#url('/cluster/heartbeat'), heartbeat, this.#options.token)
      if (OLD_CLOUD_STATUSES.includes(answer.status)) return await this.#registerWithOldCloud()
      if (answer.status < 300) {
        this.#hasJoined = true
        this.#setState('joined')
      } else this.#refused(answer)
    } catch (error) {
      const reason = error instanceof Error ? error.message || error.name : String(error)
      if (!this.#stopped) this.#setState('unreachable', reason)
      this.#statusesToTell = 0
    }
    return this.#intervalMs
  }

  async #registerWithOldCloud(): Promise<number> {
    const answer = await this.#peer.get(this.#url('/register_edge'))
    if (answer.status === METHOD_NOT_ALLOWED) {
      const { self: { ip }, token } = this.#options
      const registered = await this.#peer.post(this.#url('/register_edge'), { device_ip: ip }, token)
      if (registered.status < 300) this.#statusesToTell = OLD_CLOUD_INTERVALS
      return registered.status < 300 ? this.#tellStatus() : this.#refused(registered)
    }
    if (answer.status >= 300) return this.#refused(answer)
    this.#setState('registered with an older cloud')
    return OLD_CLOUD_INTERVALS * this.#intervalMs
  }

  async #tellStatus(): Promise<number> {
    const { self: { ip }, readStatus, token } = this.#options
    const { device_state: device, service_state } = readStatus()
    // The GPUs' figures under their older names, beside the document's.
    const status = { device_state: { ...toFlatStatus(device), ...device }, service_state }
    const body = { device_ip: ip, device_status: status }
    const answer = await this.#peer.post(this.#url('/update_client_status'), body, token)
    if (answer.status >= 300) return this.#refused(answer)
    this.#statusesToTell--
    this.#setState('registered with an older cloud')
    return TELL_INTERVAL_MS
  }

  #refused(answer: PeerAnswer): number {
    this.#statusesToTell = 0
    this.#setState('refused', reasonOf(answer))
    return this.#intervalMs
  }

  /** Logs each change of the state or its reason once. */
  #setState(state: ConnectionState, reason?: string): void {
    if (state === this.#connectionState && reason === this.#reason) return
    const before = this.#connectionState
    this.#connectionState = state
    this.#reason = reason
    const level = state === 'joined' || state === 'registered with an older cloud' ? 'info' : 'warn'
    this.#options.log[level]({ cloud: this.#options.cloud, before, reason }, `cluster: ${state}`)
  }

  #url(path: string): string {
    return new URL(path, this.#options.cloud).href
  }
}

const MAX_REASON_LENGTH = 200

function reasonOf({ status, body }: PeerAnswer): string {
  const { error } = (body ?? {}) as { error?: { message?: unknown } | null }
  const message = error?.message
  return typeof message === 'string' ? message.slice(0, MAX_REASON_LENGTH) : `status ${status}`
}
