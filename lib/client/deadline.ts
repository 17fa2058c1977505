/** The time limit of a call, and its cancellation by the caller. */
import { EdgeInferError } from '../errors.js'

/** Aborts its signal when the time is up or the caller's signal aborts. Release it when the call has ended. */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #timer: ReturnType<typeof setTimeout>
  readonly #parent: AbortSignal | undefined
  readonly #timeoutMs: number
  readonly #end: number
  readonly #onParent = (): void => this.#controller.abort(this.#parent?.reason)

  constructor(timeoutMs: number, parent?: AbortSignal) {
    this.#timeoutMs = timeoutMs
    this.#end = performance.now() + timeoutMs
    this.#parent = parent
    this.#timer = setTimeout(() => this.#controller.abort(this.#timeout()), timeoutMs)
    if (parent?.aborted) this.#onParent()
    else parent?.addEventListener('abort', this.#onParent, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get passed(): boolean {
    return this.signal.aborted
  }

  get remainingMs(): number {
    return this.#end - performance.now()
  }

  /** TIMEOUT, or ABORTED with the caller's reason as its cause. Ask only when {@link passed}. */
  get error(): EdgeInferError {
    const reason: unknown = this.signal.reason
    if (reason instanceof EdgeInferError) return reason
    return new EdgeInferError('ABORTED', 'The caller cancelled the call', { cause: reason })
  }

  /** A shorter one within this. */
  within(timeoutMs: number): Deadline {
    return new Deadline(Math.min(timeoutMs, Math.max(0, this.remainingMs)), this.signal)
  }

  /** @throws {@link error} when it passes first; `work` goes on. */
  async race<T>(work: Promise<T>): Promise<T> {
    if (this.passed) throw this.error
    let stop = (): void => {}
    const passed = new Promise<never>((_, reject) => {
      stop = () => reject(this.error)
      this.signal.addEventListener('abort', stop, { once: true })
    })
    try {
      return await Promise.race([work, passed])
    } finally {
      this.signal.removeEventListener('abort', stop)
    }
  }

  async sleep(milliseconds: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      await this.race(new Promise<void>((resolve) => { timer = setTimeout(resolve, milliseconds) }))
    } finally {
      clearTimeout(timer)
    }
  }

  release(): void {
    clearTimeout(this.#timer)
    this.#parent?.removeEventListener('abort', this.#onParent)
  }

  #timeout(): EdgeInferError {
    return new EdgeInferError('TIMEOUT', `No answer within ${Math.round(this.#timeoutMs)} ms`)
  }
}
