import type { HostFiles } from './host-files.js'
import { percentOf, rounded } from './numbers.js'

/** Below this many 10 ms ticks a window is too coarse for a percentage. */
const SHORTEST_WINDOW_TICKS = 5

interface CoreTimes {
  busy: number
  total: number
  percent: number
}

/** Use of each core, from the difference of two readings of `/proc/stat` (proc_stat(5)). */
export class CpuMeter {
  readonly #files: HostFiles
  #cores = new Map<number, CoreTimes>()

  constructor(files: HostFiles) {
    this.#files = files
  }

  /**
   * Percent busy since the last sample of each core that is online, by core number. The first sample is the mean since
   * the machine started. Steal counts as busy (the core was not to be had), waiting for I/O does not.
   */
  sample(): ReadonlyMap<number, number> {
    const text = this.#files.text('/proc/stat')
    if (text !== undefined) this.#update(text)
    return new Map([...this.#cores].map(([core, { percent }]) => [core, percent]))
  }

  #update(text: string): void {
    const cores = new Map<number, CoreTimes>()
    for (const line of text.split('\n')) {
      if (!line.startsWith('cpu')) break
      const [name = '', ...ticks] = line.split(' ')
      if (name === 'cpu') continue
      const core = Number(name.slice(3))
      cores.set(core, this.#since(this.#cores.get(core), ticks.map(Number)))
    }
    this.#cores = cores
  }

  #since(last: CoreTimes | undefined, ticks: number[]): CoreTimes {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks
    const busy = user + nice + system + irq + softirq + steal
    const total = busy + idle + iowait
    const window = total - (last?.total ?? 0)
    if (last !== undefined && window >= 0 && window < SHORTEST_WINDOW_TICKS) return last
    return { busy, total, percent: rounded(percentOf(busy - (last?.busy ?? 0), window), 1) }
  }
}
