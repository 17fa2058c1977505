/** Callers that each ask again as soon as they are answered. */
import { setTimeout as sleep } from 'node:timers/promises'

/** One answered request, milliseconds. */
export interface Answered {
  /** `performance.now()` when the answer came. */
  at: number
  /** From the call to the answer. */
  latency: number
  /** What the worker took of it. */
  run: number
}

const PAUSE_AFTER_ERROR = 50

export class SaturatingLoad {
  /** Since the last call of `take`. */
  errors = 0
  #answered: Answered[] = []
  #stopped = false
  readonly #callers: Promise<void>[]

  /** `ask` resolves to the milliseconds that the worker took. */
  constructor(callers: number, ask: () => Promise<number>) {
    this.#callers = Array.from({ length: callers }, async () => {
      while (!this.#stopped) {
        const begin = performance.now()
        try {
          const run = await ask()
          const at = performance.now()
          this.#answered.push({ at, latency: at - begin, run })
        } catch {
          this.errors += 1
          await sleep(PAUSE_AFTER_ERROR)
        }
      }
    })
  }

  /** What was answered since the last call. */
  take(): { answered: Answered[]; errors: number } {
    const taken = { answered: this.#answered, errors: this.errors }
    this.#answered = []
    this.errors = 0
    return taken
  }

  /** Resolves when the last answers are there. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#callers)
  }
}
