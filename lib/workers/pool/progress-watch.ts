/** Tells when a process that has work to do does none. */
import type { Clock } from './clock.js'

const CHECKS = 4

/**
 * A process that is stopped, deadlocked or waits for a device that hangs uses no CPU time; one that is merely slow,
 * under a tight limit say, does. So the time is counted from the last CPU time it used.
 */
export class ProgressWatch {
  readonly #readCpuSeconds: () => number | undefined
  readonly #limitMs: number
  readonly #clock: Clock
  readonly #onStuck: () => void
  #cancelCheck: (() => void) | undefined
  #working = false
  #cpuSeconds: number | undefined
  #since = 0

  /** `limitMs`: without any CPU time used, after which the process is stuck. */
  constructor(readCpuSeconds: () => number | undefined, limitMs: number, clock: Clock, onStuck: () => void) {
    this.#readCpuSeconds = readCpuSeconds
    this.#limitMs = limitMs
    this.#clock = clock
    this.#onStuck = onStuck
  }

  /** There is work. */
  start(): void {
    if (this.#working) return
    this.#working = true
    this.#cpuSeconds = undefined
    this.#since = this.#clock.now()
    this.#checkLater()
  }

  /** There is none. The timer goes on: work comes and goes more often than it fires. */
  stop(): void {
    this.#working = false
  }

  /** There will be none any more. */
  close(): void {
    this.stop()
    this.#cancelCheck?.()
  }

  #checkLater(): void {
    this.#cancelCheck ??= this.#clock.after(this.#limitMs / CHECKS, () => {
      this.#cancelCheck = undefined
      this.#check()
    })
  }

  #check(): void {
    if (!this.#working) return
    const cpuSeconds = this.#readCpuSeconds()
    const now = this.#clock.now()
    if (cpuSeconds !== this.#cpuSeconds) {
      this.#cpuSeconds = cpuSeconds
      this.#since = now
    } else if (now - this.#since >= this.#limitMs) {
      this.stop()
      return this.#onStuck()
    }
    this.#checkLater()
  }
}
