import type { HostFiles } from './host-files.js'
import { percentOf, rounded } from './numbers.js'

/** Bytes, from `/proc/meminfo` (proc_meminfo(5)). */
export interface MemInfo {
  total: number
  available: number
  swapTotal: number
  swapFree: number
  /** Held by the GPU of a Jetson, where its kernel says so. */
  nvmapUsed: number | undefined
}

/** What a container may use of a memory, and uses. */
export interface BytesInUse {
  limit: number
  used: number
}

export function readMemInfo(files: HostFiles): MemInfo {
  const bytes = new Map<string, number>()
  for (const line of files.text('/proc/meminfo')?.split('\n') ?? []) {
    const match = /^(\w+): +(\d+) kB/.exec(line)
    if (match !== null) bytes.set(match[1] as string, Number(match[2]) * 1024)
  }
  const of = (key: string): number => bytes.get(key) ?? 0
  return {
    total: of('MemTotal'),
    available: bytes.get('MemAvailable') ?? of('MemFree') + of('Buffers') + of('Cached'),
    swapTotal: of('SwapTotal'),
    swapFree: of('SwapFree'),
    nvmapUsed: bytes.get('NvMapMemUsed'),
  }
}

/** Percent used of the machine's memory, or of its container's where that is less. */
export function memoryRatio(machine: MemInfo, container: BytesInUse | undefined): number {
  return usedOf({ limit: machine.total, used: machine.total - machine.available }, container)
}

/** Percent used of the machine's swap, or of what its container may have of it where that is less; 0 without swap. */
export function swapRatio(machine: MemInfo, container: BytesInUse | undefined): number {
  return usedOf({ limit: machine.swapTotal, used: machine.swapTotal - machine.swapFree }, container)
}

function usedOf(machine: BytesInUse, container: BytesInUse | undefined): number {
  const { limit, used } = container !== undefined && container.limit < machine.limit ? container : machine
  return rounded(percentOf(used, limit), 2)
}
