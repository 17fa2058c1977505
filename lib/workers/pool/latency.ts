/** What is known of a worker's speed. */

/** Requests that percentiles are taken over. */
const WINDOW = 256
/** Weight of the newest request in the running mean. */
const NEWEST = 0.2

export class LatencyRecord {
  readonly #recent = new Float64Array(WINDOW)
  #count = 0
  #mean: number | undefined

  /** `milliseconds` of one job. */
  add(milliseconds: number): void {
    this.#recent[this.#count % WINDOW] = milliseconds
    this.#count += 1
    this.#mean = this.#mean === undefined ? milliseconds : this.#mean + NEWEST * (milliseconds - this.#mean)
  }

  /** What follows is done at another speed: the mean starts anew, the percentiles go on. */
  forgetMean(): void {
    this.#mean = undefined
  }

  /** Jobs so far. */
  get count(): number {
    return this.#count
  }

  /** Running mean, milliseconds; undefined before the first job. */
  get mean(): number | undefined {
    return this.#mean
  }

  /** Of the last 256 jobs, milliseconds; undefined before the first. */
  get percentiles(): { p50: number; p99: number } | undefined {
    if (this.#count === 0) return undefined
    const sorted = this.#recent.slice(0, Math.min(this.#count, WINDOW)).sort()
    const last = sorted.length - 1
    const at = (share: number): number => sorted[Math.min(last, Math.floor(share * sorted.length))] as number
    return { p50: at(0.5), p99: at(0.99) }
  }
}
