import type { MemInfo } from './meminfo.js'
import type { BytesInUse } from './memory.js'
import { percentOf, rounded } from './numbers.js'

/** Percent used of the machine's swap, or of what its container may have of it where that is less; 0 without swap. */
export function swapRatio(machine: MemInfo, container: BytesInUse | undefined): number {
  if (container !== undefined && container.limit < machine.swapTotal) {
    return rounded(percentOf(container.used, container.limit), 2)
  }
  return rounded(percentOf(machine.swapTotal - machine.swapFree, machine.swapTotal), 2)
}
