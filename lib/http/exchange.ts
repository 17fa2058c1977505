/** One request and its answer, from the first byte of the one to the last of the other. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { GiveUpSignal } from '../workers/types.js'
import { Departure } from './departure.js'
import type { RequestTrace } from './tracing.js'

const openExchanges = new WeakMap<Socket, Set<Exchange>>()

/**
 * Node.js tells of a lost connection by the request only until its body has come, and not at all by an answer that waits
 * behind another (pipelining); the socket always tells.
 */
export class Exchange {
  /** When the last byte of the request had come, `performance.now()`; 0 before. */
  receivedAt = 0
  /** Where requests are traced. */
  trace: RequestTrace | undefined
  readonly #response: ServerResponse
  readonly #departure = new Departure()
  readonly #whenOver: (() => void)[] = []

  constructor(socket: Socket, response: ServerResponse) {
    this.#response = response
    const siblings = exchangesOf(socket)
    siblings.add(this)
    response.once('close', () => {
      siblings.delete(this)
      this.end()
    })
  }

  /** Aborts when the caller leaves before it is answered. */
  get signal(): GiveUpSignal {
    return this.#departure
  }

  get answering(): boolean {
    return this.#response.headersSent
  }

  /** Calls `cleanup` when the answer has been sent or the caller is gone. */
  whenOver(cleanup: () => void): void {
    this.#whenOver.push(cleanup)
  }

  /** The answer has been sent, or the socket closed. */
  end(): void {
    if (!this.#response.writableFinished) this.#departure.abort()
    for (const cleanup of this.#whenOver.splice(0)) cleanup()
  }
}

/** Whether an answer is on its way through the socket, so that nothing else may be written to it. */
export function isAnswering(socket: Socket): boolean {
  return [...(openExchanges.get(socket) ?? [])].some(({ answering }) => answering)
}

function exchangesOf(socket: Socket): Set<Exchange> {
  let exchanges = openExchanges.get(socket)
  if (!exchanges) {
    const created = exchanges = new Set<Exchange>()
    openExchanges.set(socket, created)
    socket.once('close', () => created.forEach((exchange) => exchange.end()))
  }
  return exchanges
}

declare module 'fastify' {
  interface FastifyRequest {
    exchange: Exchange
  }
}
