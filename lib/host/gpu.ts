import type { GpuFigures } from './gpu-figures.js'
import { JetsonGpu } from './gpu-jetson.js'
import { NvidiaSmi, type NvidiaSmiTiming } from './gpu-nvidia.js'
import type { HostFiles } from './host-files.js'
import type { MemInfo } from './memory.js'

const REPROBE_MS = 60_000

/** The GPUs of this machine: a Jetson's own by sysfs, else NVIDIA's cards. */
export class GpuMonitor {
  readonly #files: HostFiles
  readonly #now: () => number
  readonly #cards: NvidiaSmi
  #jetson: JetsonGpu | undefined
  #nextProbeMs = -Infinity

  constructor(files: HostFiles, options: {
    searchPath: string
    now: () => number
    timing?: Partial<NvidiaSmiTiming> | undefined
  }) {
    this.#files = files
    this.#now = options.now
    this.#cards = new NvidiaSmi(options)
  }

  figures(memory: MemInfo): ReadonlyMap<string, GpuFigures> {
    if (this.#jetson === undefined && this.#now() >= this.#nextProbeMs) {
      this.#jetson = JetsonGpu.find(this.#files)
      this.#nextProbeMs = this.#now() + REPROBE_MS
    }
    return this.#jetson?.figures(memory) ?? this.#cards.figures()
  }

  stop(): void {
    this.#cards.stop()
  }
}
