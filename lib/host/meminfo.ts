import type { HostFiles } from './host-files.js'

/** Bytes, from `/proc/meminfo` (proc_meminfo(5)). */
export interface MemInfo {
  total: number
  available: number
  swapTotal: number
  swapFree: number
  /** Held by the GPU of a Jetson, where its kernel says so. */
  nvmapUsed: number | undefined
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
