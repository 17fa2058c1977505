/** How long to wait before a worker that died is replaced: longer each time, until a healthy one dies. */

const MIN_MS = 100
const MAX_MS = 30_000

export class RestartBackoff {
  #next = 0

  /** Milliseconds to wait after a death. `wasHealthy`: the worker had answered a request, or run for long. */
  nextDelay(wasHealthy: boolean): number {
    if (wasHealthy) this.#next = 0
    const delay = this.#next
    this.#next = Math.min(MAX_MS, Math.max(MIN_MS, this.#next * 2))
    return delay
  }
}
