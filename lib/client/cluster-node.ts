/** A node as the cluster client sees it: its load, its round trip, and whether it failed lately. */
import { Deadline } from './deadline.js'
import type { ConnectionSettings } from './options.js'
import type { Reply } from './reply.js'
import { Transport, type WireRequest } from './transport.js'

/** The load of a node, as the cloud last reported it. */
export interface NodeLoad {
  /** Free shares, [0, 1]. */
  cpu: number
  mem: number
  cores: number
}

/** Weight of the newest round trip in the moving average. */
const NEWEST_WEIGHT = 0.3
const PROBE_TIMEOUT_MS = 1000

export class ClusterNode {
  readonly transport: Transport
  load: NodeLoad = { cpu: 0, mem: 0, cores: 1 }
  /** Calls of this client that wait for the node. */
  inFlight = 0
  /** Moving average over requests that cost the node nothing, milliseconds; undefined before the first. */
  roundTripMs: number | undefined
  #penaltyEnds = 0

  constructor(url: string, settings: ConnectionSettings) {
    this.transport = new Transport(url, settings)
  }

  get penalised(): boolean {
    return performance.now() < this.#penaltyEnds
  }

  /** The node is a last resort for so long. */
  penalise(milliseconds: number): void {
    this.#penaltyEnds = performance.now() + milliseconds
  }

  async send(request: WireRequest, deadline: Deadline): Promise<Reply> {
    this.inFlight++
    try {
      const reply = await this.transport.send(request, deadline)
      this.#penaltyEnds = 0
      return reply
    } finally {
      this.inFlight--
    }
  }

  /** Measures the round trip. A node that does not answer at all is penalised; any answer counts. */
  async probe(penaltyMs: number): Promise<void> {
    try {
      // The first request also pays for the connection.
      if (this.roundTripMs === undefined) await this.#ping()
      const milliseconds = await this.#ping()
      const before = this.roundTripMs ?? milliseconds
      this.roundTripMs = before + NEWEST_WEIGHT * (milliseconds - before)
    } catch {
      this.penalise(penaltyMs)
    }
  }

  async #ping(): Promise<number> {
    const deadline = new Deadline(PROBE_TIMEOUT_MS)
    // Older nodes have no such route: 404.
    const request: WireRequest = { method: 'GET', path: '/healthz', accept: [404, 503] }
    try {
      return (await this.transport.send(request, deadline)).seconds * 1000
    } finally {
      deadline.release()
    }
  }
}
