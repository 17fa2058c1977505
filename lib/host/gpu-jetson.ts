import type { GpuFigures } from './gpu-figures.js'
import type { HostFiles } from './host-files.js'
import type { MemInfo } from './memory.js'
import { clamp, percentOf } from './numbers.js'

/** `gpu.0`, or an address and the GPU's name: TX2 gp10b, Xavier gv11b, Orin ga10b; `gpu` on Nanos and new kernels. */
const GPU_NAME = /^(gpu\.0|[0-9a-f]+\.(gpu|gp10b|gv11b|ga10b))$/
const PLATFORM_DEPTH = 3

/** The integrated GPU of a Jetson, found by its `load` file in sysfs, which holds the load in per mille. */
export class JetsonGpu {
  readonly #files: HostFiles
  readonly #loadFile: string

  private constructor(files: HostFiles, loadFile: string) {
    this.#files = files
    this.#loadFile = loadFile
  }

  static find(files: HostFiles): JetsonGpu | undefined {
    for (const path of candidates(files)) {
      if (files.number(path) !== undefined) return new JetsonGpu(files, path)
    }
    return undefined
  }

  /**
   * The GPU shares the machine's memory: its total is the machine's; what is used is what nvmap holds where that may be
   * read (debugfs needs root), else all that is used of the shared memory.
   */
  figures(memory: MemInfo): ReadonlyMap<string, GpuFigures> {
    const load = this.#files.number(this.#loadFile)
    const used = memory.nvmapUsed ?? this.#nvmapClients() ?? memory.total - memory.available
    const figures: GpuFigures = {
      utilization: load === undefined ? undefined : clamp(load / 10, 0, 100),
      memory: percentOf(used, memory.total) / 100,
      memoryTotalBytes: memory.total,
    }
    return new Map([['0', figures]])
  }

  #nvmapClients(): number | undefined {
    const match = /^total +(\d+)K\b/m.exec(this.#files.text('/sys/kernel/debug/nvmap/iovmm/clients') ?? '')
    return match === null ? undefined : Number(match[1]) * 1024
  }
}

function* candidates(files: HostFiles): Generator<string> {
  for (const name of files.names('/sys/class/devfreq')) {
    if (GPU_NAME.test(name)) yield `/sys/class/devfreq/${name}/device/load`
  }
  yield '/sys/devices/gpu.0/load'
  for (const name of files.folders('/sys/devices')) {
    if (GPU_NAME.test(name)) yield `/sys/devices/${name}/load`
  }
  yield* inPlatform(files, '/sys/devices/platform', PLATFORM_DEPTH)
}

function* inPlatform(files: HostFiles, folder: string, depth: number): Generator<string> {
  for (const name of files.names(folder)) {
    if (GPU_NAME.test(name)) yield `${folder}/${name}/load`
  }
  if (depth <= 1) return
  for (const name of files.folders(folder)) yield* inPlatform(files, `${folder}/${name}`, depth - 1)
}
