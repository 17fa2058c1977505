/** Below this the kernel's 10 ms ticks are too coarse for a figure. */
const SHORTEST_WINDOW_MS = 50

/** Growth per second of a counter. A short window repeats the last figure; a counter that starts again grew by 0. */
export class Rate {
  #value: number | undefined
  #at = 0
  #perSecond = 0

  /** `nowMs` is a monotonic clock. The first call answers 0. */
  update(value: number, nowMs: number): number {
    if (this.#value === undefined) {
      this.#value = value
      this.#at = nowMs
      return 0
    }
    const elapsedMs = nowMs - this.#at
    if (elapsedMs >= SHORTEST_WINDOW_MS) {
      this.#perSecond = (Math.max(0, value - this.#value) * 1000) / elapsedMs
      this.#value = value
      this.#at = nowMs
    }
    return this.#perSecond
  }
}
