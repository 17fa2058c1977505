/** Tells when a process that has work to do does none. */
import { readProcess } from '../../host/index.js'

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
  #working = false
  #cpuSeconds: number | undefined
  #since = 0

  constructor(pid: number, patienceMs: number, onStuck: () => void) {
    this.#pid = pid
    this.#patienceMs = patienceMs
    this.#onStuck = onStuck
  }

  /** There is work. */
  start(): void {
    if (this.#working) return
    this.#working = true
    this.#cpuSeconds = undefined
    this.#since = performance.now()
    this.#timer ??= setInterval(() => this.#check(), this.#patienceMs / CHECKS).unref()
  }

  /** There is none. The timer goes on: work comes and goes more often than it ends. */
  stop(): void {
    this.#working = false
  }

  /** There will be none any more. */
  close(): void {
    this.stop()
    clearInterval(this.#timer)
  }

  #check(): void {
    if (!this.#working) return
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
