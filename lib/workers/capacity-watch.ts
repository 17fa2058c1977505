/** Tells when this node has fewer cores than when its workers started, since a quota or an affinity was changed. */
import type { Logger } from 'pino'
import type { NodeCapacity } from '../host/index.js'

const INTERVAL_MS = 5000

export interface CapacityWatchOptions {
  atStart: NodeCapacity
  read(): NodeCapacity
  log: Logger
}

export class CapacityWatch {
  /** Why the workers are slower than when they started, for people; undefined where they need not be. */
  lessCpu: string | undefined
  readonly #options: CapacityWatchOptions
  readonly #timer: NodeJS.Timeout
  #cores: number

  constructor(options: CapacityWatchOptions) {
    this.#options = options
    this.#cores = options.atStart.cores
    this.#timer = setInterval(() => this.check(), INTERVAL_MS).unref()
  }

  /** Each change is logged once. */
  check(): void {
    const { atStart, read, log } = this.#options
    const now = read()
    if (now.cores === this.#cores) return
    const [before, what] = [this.#cores, `this node has ${inCores(now.cores)} now (${reasonOf(now)})`]
    this.#cores = now.cores
    this.lessCpu = now.cores < atStart.cores
      ? `${what} and had ${inCores(atStart.cores)} when its workers started`
      : undefined
    const [level, message] = now.cores < before
      ? ['warn', `its CPU was lowered: answers take longer. ${what}`] as const
      : ['info', `its CPU was raised: ${what}`] as const
    log[level]({ cores: now.cores, before, atStart: atStart.cores, file: now.quotaFile }, message)
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

function inCores(cores: number): string {
  return `${Number(cores.toFixed(3))} ${cores === 1 ? 'core' : 'cores'}`
}

function reasonOf({ quotaFile, cpus }: NodeCapacity): string {
  return quotaFile === undefined ? `its CPUs are ${cpus.join(', ')}` : `the quota in ${quotaFile}`
}
