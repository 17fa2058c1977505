import type { HostFiles } from './host-files.js'
import { Rate, rounded } from './numbers.js'

const LOOPBACK_TYPE = 772

/**
 * Traffic of this machine with others, from `/proc/net/dev`. A byte is counted once: where there are hardware
 * interfaces only these count, since bridges, bonds, VLANs, tunnels and containers' links carry the same bytes again;
 * where there are none (in a container) the interfaces that lie on top of or below another one are left out.
 */
export class NetworkMeter {
  readonly #files: HostFiles
  #kinds = new Map<string, 'hardware' | 'virtual' | 'repeats'>()
  #rates = new Map<string, Rate>()

  constructor(files: HostFiles) {
    this.#files = files
  }

  /** Received + sent since the last sample, in 10^6 bytes a second. */
  sample(nowMs: number): number {
    const interfaces = this.#read()
    if (interfaces.some(({ name }) => !this.#kinds.has(name))) this.#classify(interfaces.map(({ name }) => name))
    const counted = [...this.#kinds.values()].includes('hardware') ? 'hardware' : 'virtual'
    const rates = new Map<string, Rate>()
    let bytesPerSecond = 0
    for (const { name, bytes } of interfaces) {
      if (this.#kinds.get(name) !== counted) continue
      const rate = this.#rates.get(name) ?? new Rate()
      rates.set(name, rate)
      bytesPerSecond += rate.update(bytes, nowMs)
    }
    this.#rates = rates
    return rounded(bytesPerSecond / 1e6, 5)
  }

  #read(): { name: string; bytes: number }[] {
    const lines = this.#files.text('/proc/net/dev')?.split('\n').slice(2) ?? []
    return lines.flatMap(line => {
      const colon = line.lastIndexOf(':')
      if (colon < 0) return []
      const figures = line.slice(colon + 1).trim().split(/ +/).map(Number)
      return [{ name: line.slice(0, colon).trim(), bytes: (figures[0] ?? 0) + (figures[8] ?? 0) }]
    })
  }

  #classify(names: string[]): void {
    this.#kinds = new Map(names.map(name => [name, this.#kind(name)]))
  }

  #kind(name: string): 'hardware' | 'virtual' | 'repeats' {
    const folder = `/sys/class/net/${name}`
    if (name === 'lo' || this.#files.number(`${folder}/type`) === LOOPBACK_TYPE) return 'repeats'
    const entries = this.#files.names(folder)
    if (entries.includes('device')) return 'hardware'
    const stacked = entries.some(entry => /^(lower_.*|master|bridge|bonding|tun_flags)$/.test(entry))
    const tunnel = /^DEVTYPE=(wireguard|vlan|bridge|bond)$/m.test(this.#files.text(`${folder}/uevent`) ?? '')
    return stacked || tunnel ? 'repeats' : 'virtual'
  }
}
