/** Time in which this process ran: nodes are not late because the cloud itself was frozen or starved. */

const TICK_MS = 500

export class RunningClock {
  readonly #monotonic: () => number
  readonly #timer: NodeJS.Timeout
  #last: number
  #stalled = 0

  /** `monotonic`: milliseconds. */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic
    this.#last = monotonic()
    this.#timer = setInterval(() => this.now(), TICK_MS).unref()
  }

  /** Milliseconds, without the stretches in which nothing ran here. */
  now(): number {
    const now = this.#monotonic()
    const gap = now - this.#last
    if (gap > 2 * TICK_MS) this.#stalled += gap - TICK_MS
    this.#last = now
    return now - this.#stalled
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
