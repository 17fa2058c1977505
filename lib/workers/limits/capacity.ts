import { parseCpuList } from './cpu-list.js'
import type { Allowance } from './driver.js'
import { readOr, type KernelFiles } from './kernel-files.js'
import type { NodeCapacity } from './resources.js'

/** What the machine has, narrowed to what the groups around this process allow. */
export function readCapacity(files: KernelFiles, allowance: Allowance): NodeCapacity {
  const cpus = allowance.cpus ?? parseCpuList(readOr(files, '/sys/devices/system/cpu/online', '0'))
  const memoryNodes = allowance.memoryNodes ?? parseCpuList(readOr(files, '/sys/devices/system/node/online', '0'))
  const total = Number(/^MemTotal: +(\d+) kB$/m.exec(files.read('/proc/meminfo'))?.[1]) * 1024
  return {
    cores: Math.min(cpus.length, allowance.cores ?? Infinity),
    memoryBytes: Math.min(total, allowance.memoryBytes ?? Infinity),
    cpus,
    memoryNodes,
  }
}
