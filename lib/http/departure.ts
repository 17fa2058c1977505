import type { CancelSignal } from '../workers/types.js'

/** Whether a caller has left. An AbortController tells the same, but making one a request shows in every answer's time. */
export class Departure implements CancelSignal {
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
