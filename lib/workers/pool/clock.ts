/** Time as the pool sees it. Tests pass a virtual clock. */
export interface Clock {
  /** Monotonic, milliseconds. */
  now(): number
  /** Calls back once, after so many milliseconds. Returns a function that cancels the call. */
  after(milliseconds: number, callback: () => void): () => void
}

/** The longest delay of a timer of Node's: one that is longer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, Math.min(milliseconds, MAX_TIMER_MS))
    return () => clearTimeout(timer)
  },
}
