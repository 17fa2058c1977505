import { HostFiles } from './host-files.js'

export interface ProcessTimes {
  /** User and system time of all threads so far. */
  cpuSeconds: number
  rssBytes: number
  /** Seconds after the machine started; with the pid it names one process for good. */
  startTime: number
}

export interface KernelUnits {
  ticksPerSecond: number
  pageBytes: number
}

const AT_PAGESZ = 6
const AT_CLKTCK = 17
const DEFAULT_UNITS: KernelUnits = { ticksPerSecond: 100, pageBytes: 4096 }

/** Reads `/proc/<pid>/stat` (proc_pid_stat(5)). `undefined` when there is no such process. */
export function readProcess(pid: number, options: { root?: string } = {}): ProcessTimes | undefined {
  const files = new HostFiles(options.root)
  return readProcessTimes(files, pid, readKernelUnits(files))
}

/** Descriptors of this process: how many are open, and may be; Infinity where nothing says so. */
export function readDescriptors(files = new HostFiles()): { open: number; limit: number } {
  const limit = /^Max open files\s+(\d+)/m.exec(files.text('/proc/self/limits') ?? '')?.[1]
  return { open: files.names('/proc/self/fd').length, limit: limit === undefined ? Infinity : Number(limit) }
}

export function readProcessTimes(files: HostFiles, pid: number, units: KernelUnits): ProcessTimes | undefined {
  const text = files.text(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The name in parentheses may itself hold spaces and parentheses; field 3 follows the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  const cpuSeconds = (field(14) + field(15)) / units.ticksPerSecond
  const startTime = field(22) / units.ticksPerSecond
  const rssBytes = field(24) * units.pageBytes
  return [cpuSeconds, startTime, rssBytes].every(Number.isFinite) ? { cpuSeconds, rssBytes, startTime } : undefined
}

/** Clock tick and page size the kernel counts in, from the auxiliary vector (getauxval(3)). */
export function readKernelUnits(files: HostFiles): KernelUnits {
  const units = { ...DEFAULT_UNITS }
  const auxv = files.bytes('/proc/self/auxv')
  const word = process.arch === 'arm' || process.arch === 'ia32' ? 4 : 8
  for (let at = 0; auxv !== undefined && at + 2 * word <= auxv.length; at += 2 * word) {
    const value = auxv.readUIntLE(at + word, 4)
    if (value === 0) continue
    if (auxv.readUIntLE(at, 4) === AT_PAGESZ) units.pageBytes = value
    if (auxv.readUIntLE(at, 4) === AT_CLKTCK) units.ticksPerSecond = value
  }
  return units
}
