/** One request and its answer, from the first byte of the one to the last of the other. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { EdgeInferError } from '../errors.js'
import type { CancelSignal } from '../workers/types.js'
import type { RequestTrace } from './tracing.js'

/** Whether the client has disconnected. An AbortController would do, but making one a request shows in latencies. */
class ClientDisconnect implements CancelSignal {
  #listeners: Set<() => void> | undefined
  aborted = false

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners ??= new Set()
    this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener)
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    const listeners = this.#listeners
    this.#listeners = undefined
    for (const listener of listeners ?? []) listener()
  }
}

const openLifecycles = new WeakMap<Socket, Set<RequestLifecycle>>()

/**
 * Node.js tells of a lost connection by the request only until its body has come, and not at all by an answer that
 * waits behind another (pipelining); the socket always tells.
 */
export class RequestLifecycle {
  /** When the last byte of the request had come, `performance.now()`; 0 before. */
  receivedAt = 0
  /** Of its body, or of what was taken out of it, in memory. */
  heldBytes = 0
  /** Where requests are traced. */
  trace: RequestTrace | undefined
  readonly #response: ServerResponse
  readonly #disconnect = new ClientDisconnect()
  readonly #whenOver: (() => void)[] = []
  #awaitsContinue: boolean
  #fault: EdgeInferError | undefined
  #onFault: (fault: EdgeInferError) => void = () => {}

  constructor(socket: Socket, response: ServerResponse) {
    this.#response = response
    this.#awaitsContinue = response.req.headers.expect !== undefined && response.req.httpVersion === '1.1'
    const siblings = lifecyclesOf(socket)
    siblings.add(this)
    response.once('close', () => {
      siblings.delete(this)
      this.end()
    })
  }

  /** Aborts when the client disconnects before it is answered. */
  get signal(): CancelSignal {
    return this.#disconnect
  }

  get answering(): boolean {
    return this.#response.headersSent
  }

  /** Whether every byte of the request has come. */
  get complete(): boolean {
    return this.#response.req.complete
  }

  /** The caller sends its body only when it is told to (`Expect: 100-continue`), and has not been. */
  get awaitsContinue(): boolean {
    return this.#awaitsContinue
  }

  /** Tells a caller that waits for it to send its body. */
  requestBody(): void {
    if (this.#awaitsContinue) this.#response.writeContinue()
    this.#awaitsContinue = false
  }

  /** Calls `listener` where the rest of the request cannot be read, also when that is known already. */
  onFault(listener: (fault: EdgeInferError) => void): void {
    this.#onFault = listener
    if (this.#fault) listener(this.#fault)
  }

  /** The rest of the request cannot be read, nor another on its connection, which closes after the answer. */
  fail(fault: EdgeInferError): void {
    this.#fault = fault
    this.#response.shouldKeepAlive = false
    this.#onFault(fault)
  }

  /** Calls `cleanup` when the answer has been sent or the client has disconnected. */
  whenOver(cleanup: () => void): void {
    this.#whenOver.push(cleanup)
  }

  /** The answer has been sent, or the client has left. */
  end(): void {
    if (!this.#response.writableFinished) this.#disconnect.abort()
    for (const cleanup of this.#whenOver.splice(0)) cleanup()
  }
}

/** The last request of the connection that is not answered yet. */
export function lastRequest(socket: Socket): RequestLifecycle | undefined {
  return [...(openLifecycles.get(socket) ?? [])].at(-1)
}

/** Whether the next byte on the socket is the first of an answer that is still being made. */
export function isAwaitingAnswer(socket: Socket): boolean {
  const [next] = openLifecycles.get(socket) ?? []
  return socket.writable && next !== undefined && next.complete && !next.answering
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
