/** Tells when a process that has work to do does none. */
import { readProcess } from '../node/index.js'

const CHECKS = 4

/**
 * A process that is stopped, deadlocked or waits for a device that hangs uses no CPU time; one that is merely slow,
 * under a tight limit say, does. So patience is counted from the last CPU time it used.
 */
export class ProgressWatch {
  readonly #pid: number
  readonly #patienceMs: number
  readonly #onStuck: () => void
  #timer: NodeJS.Timeout | undefined
  #cpuSeconds: number | undefined
  #since = 0

  constructor(pid: number, patienceMs: number, onStuck: () => void) {
    this.#pid = pid
    this.#patienceMs = patienceMs
    this.#onStuck = onStuck
  }

  /** There is work. */
  start(): void {
    if (this.#timer) return
    this.#cpuSeconds = undefined
    this.#since = performance.now()
    this.#timer = setInterval(() => this.#check(), this.#patienceMs / CHECKS).unref()
  }

  /** There is none. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #check(): void {
    const cpuSeconds = readProcess(this.#pid)?.cpuSeconds
    const now = performance.now()
    if (cpuSeconds !== this.#cpuSeconds) {
      this.#cpuSeconds = cpuSeconds
      this.#since = now
    } else if (now - this.#since >= this.#patienceMs) {
      this.stop()
      this.#onStuck()
    }
  }
}
