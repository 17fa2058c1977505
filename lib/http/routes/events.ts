/** Server-sent events: what `/nodes` answers, once a second, for pages that stay open. */
import type { ServerResponse } from 'node:http'
import { Type } from 'typebox'
import type { Cluster } from '../../cluster/index.js'
import { EdgeInferError } from '../../errors.js'
import { failures } from '../schemas/common.js'
import type { Routes } from './index.js'

const INTERVAL_MS = 1000
const MAX_LISTENERS = 64

export function eventsRoutes(cluster: Cluster): Routes {
  return (app, context) => {
    const stream = new EventStream({
      event: 'state',
      intervalMs: INTERVAL_MS,
      maxListeners: MAX_LISTENERS,
      message: () => cluster.nodesJson().toString(),
      closing: () => context.draining,
    })
    app.get('/events', {
      exposeHeadRoute: false,
      schema: {
        tags: ['Cluster'],
        summary: 'Server-sent events: `state` once a second, with what /nodes answers',
        produces: ['text/event-stream'],
        response: {
          200: Type.String({ description: 'Events for as long as the caller listens' }),
          ...failures(Type.Ref('Failure'), 'CLOSED', 'QUEUE_FULL'),
        },
      },
    }, (_request, reply) => {
      stream.add(reply.raw, reply.getHeaders())
      return reply.hijack()
    })
  }
}

interface EventStreamOptions {
  /** Name of the events. */
  event: string
  intervalMs: number
  /** Listeners at the most. */
  maxListeners: number
  /** Text of one line. */
  message: () => string
  /** Everyone is sent away once this is true. */
  closing: () => boolean
}

/** Messages in a row that a listener may not be able to take before it is cut off. */
const MAX_MISSED = 15
/** Milliseconds after which a browser that lost the connection tries again. */
const RETRY_MS = 2000

/** Nothing is made or kept while nobody listens; a slow listener misses messages instead of piling them up. */
class EventStream {
  readonly #options: EventStreamOptions
  readonly #missed = new Map<ServerResponse, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: EventStreamOptions) {
    this.#options = options
  }

  /** Sends the messages as that answer, beginning now. @throws EdgeInferError CLOSED, QUEUE_FULL. */
  add(response: ServerResponse, headers: Readonly<Record<string, number | string | string[] | undefined>>): void {
    const { maxListeners, intervalMs, closing } = this.#options
    if (closing()) throw new EdgeInferError('CLOSED', 'The server is stopping')
    if (this.#missed.size >= maxListeners) {
      throw new EdgeInferError('QUEUE_FULL', `Expected at most ${maxListeners} listeners but received one more`)
    }
    const first = this.#message()
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'close',
      // Proxies that buffer answers would hold the messages back.
      'x-accel-buffering': 'no',
    })
    response.write(`retry: ${RETRY_MS}\n\n`)
    response.write(first)
    this.#missed.set(response, 0)
    response.once('close', () => this.#missed.delete(response))
    this.#timer ??= setInterval(() => this.#tick(), intervalMs).unref()
  }

  #tick(): void {
    if (this.#missed.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    } else if (this.#options.closing()) {
      for (const response of this.#missed.keys()) response.end()
    } else {
      this.#send(this.#message())
    }
  }

  #send(message: string): void {
    for (const [response, missed] of this.#missed) {
      if (!response.writableNeedDrain) {
        response.write(message)
        this.#missed.set(response, 0)
      } else if (missed < MAX_MISSED) this.#missed.set(response, missed + 1)
      else response.destroy()
    }
  }

  #message(): string {
    return `event: ${this.#options.event}\ndata: ${this.#options.message()}\n\n`
  }
}
