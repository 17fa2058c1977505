/** How long to wait before a worker that died is replaced: longer each time, until one has been of use. */

const FIRST_MS = 100
const LONGEST_MS = 30_000

export class BackOff {
  #next = 0

  /** Milliseconds to wait after a death. `wasOfUse`: the worker had answered a request, so it is worth having again. */
  after(wasOfUse: boolean): number {
    if (wasOfUse) this.#next = 0
    const wait = this.#next
    this.#next = Math.min(LONGEST_MS, Math.max(FIRST_MS, this.#next * 2))
    return wait
  }
}
