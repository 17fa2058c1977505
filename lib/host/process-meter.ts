import type { NodeCapacity } from './capacity.js'
import type { HostFiles } from './host-files.js'
import { percentOf, Rate, rounded } from './numbers.js'
import { readKernelUnits, readProcessTimes, type KernelUnits, type ProcessTimes } from './process.js'

export interface ProcessUse extends ProcessTimes {
  /** Percent of all CPU time this node has, since the last sample. */
  cpuPercent: number
  /** Percent of all memory this node has. */
  memPercent: number
}

/** CPU and memory of some processes. */
export class ProcessMeter {
  readonly #files: HostFiles
  readonly #units: KernelUnits
  readonly #watched = new Map<number, { rate: Rate; use: ProcessUse } | undefined>()

  constructor(files: HostFiles) {
    this.#files = files
    this.#units = readKernelUnits(files)
  }

  watch(pid: number, nowMs: number, capacity: NodeCapacity): void {
    if (this.#watched.has(pid)) return
    this.#watched.set(pid, undefined)
    this.#sampleOne(pid, nowMs, capacity)
  }

  unwatch(pid: number): void {
    this.#watched.delete(pid)
  }

  sample(nowMs: number, capacity: NodeCapacity): void {
    for (const pid of this.#watched.keys()) this.#sampleOne(pid, nowMs, capacity)
  }

  use(pid: number): ProcessUse | undefined {
    return this.#watched.get(pid)?.use
  }

  #sampleOne(pid: number, nowMs: number, capacity: NodeCapacity): void {
    const times = readProcessTimes(this.#files, pid, this.#units)
    if (times === undefined) {
      this.#watched.set(pid, undefined)
      return
    }
    const last = this.#watched.get(pid)
    const rate = last?.use.startTime === times.startTime ? last.rate : new Rate()
    const cpuPercent = rounded(percentOf(rate.update(times.cpuSeconds, nowMs), capacity.cores), 2)
    const memPercent = rounded(percentOf(times.rssBytes, capacity.memoryBytes), 2)
    this.#watched.set(pid, { rate, use: { ...times, cpuPercent, memPercent } })
  }
}
