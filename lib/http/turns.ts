/**
 * Long work on the JavaScript thread is cut into pieces that ask for a turn each: one piece runs in each turn of the
 * event loop, whoever it belongs to.
 */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #scheduled = false

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#waiting.shift()?.()
      this.#schedule()
    })
  }
}
