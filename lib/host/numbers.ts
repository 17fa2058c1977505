/** `value` within [low, high]. */
export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

/** `part` of `whole` in percent, 0–100; 0 of nothing is 0. */
export function percentOf(part: number, whole: number): number {
  return whole > 0 ? clamp((100 * part) / whole, 0, 100) : 0
}

/** Mean of the values; of none, 0. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Rounded, so that replies stay short. */
export function rounded(value: number, digits: number): number {
  const scale = 10 ** digits
  return Math.round(value * scale) / scale
}

/** Memory is counted in units of 2^30 bytes, as every tool for it does. */
export function gigabytes(bytes: number): number {
  return rounded(bytes / 2 ** 30, 3)
}

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
