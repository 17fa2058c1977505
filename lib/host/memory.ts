import type { MemInfo } from './meminfo.js'
import { percentOf, rounded } from './numbers.js'

/** What a container may use of a memory, and uses. */
export interface BytesInUse {
  limit: number
  used: number
}

/** The memory this program can have: the machine's, or its container's where that is less. Use in percent. */
export function memoryUse(machine: MemInfo, container: BytesInUse | undefined): { totalBytes: number; ratio: number } {
  if (container !== undefined && container.limit < machine.total) {
    return { totalBytes: container.limit, ratio: rounded(percentOf(container.used, container.limit), 2) }
  }
  return {
    totalBytes: machine.total,
    ratio: rounded(percentOf(machine.total - machine.available, machine.total), 2),
  }
}
