/** One request and its answer, from the first byte of the one to the last of the other. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { CancelSignal } from '../workers/types.js'
import { Departure } from './departure.js'
import type { RequestTrace } from './tracing.js'

const openLifecycles = new WeakMap<Socket, Set<RequestLifecycle>>()

/**
 * Node.js tells of a lost connection by the request only until its body has come, and not at all by an answer that waits
 * behind another (pipelining); the socket always tells.
 */
export class RequestLifecycle {
  /** When the last byte of the request had come, `performance.now()`; 0 before. */
  receivedAt = 0
  /** Where requests are traced. */
  trace: RequestTrace | undefined
  readonly #response: ServerResponse
  readonly #departure = new Departure()
  readonly #whenOver: (() => void)[] = []

  constructor(socket: Socket, response: ServerResponse) {
    this.#response = response
    const siblings = lifecyclesOf(socket)
    siblings.add(this)
    response.once('close', () => {
      siblings.delete(this)
      this.end()
    })
  }

  /** Aborts when the caller leaves before it is answered. */
  get signal(): CancelSignal {
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
  return [...(openLifecycles.get(socket) ?? [])].some(({ answering }) => answering)
}

function lifecyclesOf(socket: Socket): Set<RequestLifecycle> {
  let lifecycles = openLifecycles.get(socket)
  if (!lifecycles) {
    const created = lifecycles = new Set<RequestLifecycle>()
    openLifecycles.set(socket, created)
    socket.once('close', () => created.forEach((lifecycle) => lifecycle.end()))
  }
  return lifecycles
}

declare module 'fastify' {
  interface FastifyRequest {
    lifecycle: RequestLifecycle
  }
}
