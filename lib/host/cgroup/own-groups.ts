import type { Allowance } from '../capacity.js'
import type { HostFiles } from '../host-files.js'
import type { BytesInUse } from '../memory.js'
import { parseCpuList } from './cpu-list.js'
import { directoriesUp, locateGroups, type GroupLocation } from './location.js'

interface CpuQuota {
  cores: number
  file: string
  usageSeconds: () => number | undefined
}

interface MemoryGroup {
  version: 1 | 2
  directory: string
  limit: number
}

/**
 * What this process's control groups leave it of the machine: of the group itself and all above it, the lowest limit,
 * and the use of the group that sets it (its workers included). Limits are looked up by {@link refresh} only.
 */
export class OwnGroups {
  readonly #files: HostFiles
  #quota: CpuQuota | undefined
  #memory: MemoryGroup | undefined
  #cpus: readonly number[] | undefined
  #memoryNodes: readonly number[] = []

  constructor(files: HostFiles) {
    this.#files = files
    this.refresh()
  }

  refresh(): void {
    const { v1, v2 } = locateGroups(this.#files)
    this.#quota = findQuota(this.#files, v1.get('cpu') ?? v2, v1.get('cpuacct'))
    this.#memory = findMemoryGroup(this.#files, v1.get('memory') ?? v2)
    const status = this.#files.text('/proc/self/status') ?? ''
    // The kernel keeps the affinity of a process within its cpuset (sched_setaffinity(2)).
    this.#cpus = allowedList(status, 'Cpus_allowed_list')
    const allowedNodes = allowedList(status, 'Mems_allowed_list')
    const online = parseCpuList(this.#files.text('/sys/devices/system/node/online') ?? '0')
    this.#memoryNodes = online.filter((node) => allowedNodes?.includes(node) ?? true)
  }

  get allowance(): Allowance {
    return { quota: this.#quota, memoryBytes: this.#memory?.limit, cpus: this.#cpus }
  }

  /** Ids of the memory nodes that are online and allowed. */
  get memoryNodes(): readonly number[] {
    return this.#memoryNodes
  }

  /** CPU time used so far by all that the quota holds for, where that is accounted for. */
  cpuSeconds(): number | undefined {
    return this.#quota?.usageSeconds()
  }

  /** Page cache that the kernel drops first is not counted as used. */
  memory(): BytesInUse | undefined {
    if (this.#memory === undefined) return undefined
    const { version, directory, limit } = this.#memory
    const used = this.#files.number(`${directory}/${version === 2 ? 'memory.current' : 'memory.usage_in_bytes'}`) ?? 0
    const key = version === 2 ? 'inactive_file' : 'total_inactive_file'
    return { limit, used: Math.max(0, used - (figureOf(this.#files, `${directory}/memory.stat`, key) ?? 0)) }
  }

  swap(): BytesInUse | undefined {
    if (this.#memory === undefined) return undefined
    const { version, directory, limit } = this.#memory
    const number = (name: string): number | undefined => this.#files.number(`${directory}/${name}`)
    if (version === 2) {
      const swapLimit = number('memory.swap.max')
      return swapLimit === undefined ? undefined : { limit: swapLimit, used: number('memory.swap.current') ?? 0 }
    }
    const both = number('memory.memsw.limit_in_bytes')
    if (both === undefined) return undefined
    const used = (number('memory.memsw.usage_in_bytes') ?? 0) - (number('memory.usage_in_bytes') ?? 0)
    return { limit: Math.max(0, both - limit), used: Math.max(0, used) }
  }
}

function allowedList(status: string, key: string): number[] | undefined {
  const list = new RegExp(`^${key}:\\s*(\\S+)`, 'm').exec(status)?.[1]
  return list === undefined ? undefined : parseCpuList(list)
}

function findQuota(
  files: HostFiles, location: GroupLocation | undefined, account: GroupLocation | undefined,
): CpuQuota | undefined {
  let lowest: CpuQuota | undefined
  for (const directory of location ? directoriesUp(location) : []) {
    const cores = location?.version === 2 ? quotaV2(files, directory) : quotaV1(files, directory)
    if (cores === undefined || (lowest !== undefined && lowest.cores <= cores)) continue
    const below = directory.slice(location?.mountPoint.length)
    lowest = {
      cores,
      file: `${directory}/${location?.version === 2 ? 'cpu.max' : 'cpu.cfs_quota_us'}`,
      usageSeconds: () => location?.version === 2
        ? scaled(figureOf(files, `${directory}/cpu.stat`, 'usage_usec'), 1e6)
        // The accounting group that holds the same processes is the one of the same path below its own mount.
        : account && scaled(files.number(`${account.mountPoint}${below}/cpuacct.usage`), 1e9),
    }
  }
  return lowest
}

function quotaV1(files: HostFiles, directory: string): number | undefined {
  return ratio(files.number(`${directory}/cpu.cfs_quota_us`), files.number(`${directory}/cpu.cfs_period_us`))
}

function quotaV2(files: HostFiles, directory: string): number | undefined {
  const match = /^(\d+) (\d+)/.exec(files.text(`${directory}/cpu.max`) ?? '')
  return match === null ? undefined : ratio(Number(match[1]), Number(match[2]))
}

function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined
}

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value / unit
}

/** 'No limit' is `max` in version 2, and in version 1 a number of bytes that no machine has. */
function findMemoryGroup(files: HostFiles, location: GroupLocation | undefined): MemoryGroup | undefined {
  let lowest: MemoryGroup | undefined
  for (const directory of location ? directoriesUp(location) : []) {
    const version = location?.version ?? 2
    const limit = files.number(`${directory}/${version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`)
    if (limit !== undefined && limit < (lowest?.limit ?? Infinity)) lowest = { version, directory, limit }
  }
  return lowest
}

/** The number after `key` in a file of `key value` lines. */
function figureOf(files: HostFiles, path: string, key: string): number | undefined {
  const match = new RegExp(`^${key} (\\d+)$`, 'm').exec(files.text(path) ?? '')
  return match === null ? undefined : Number(match[1])
}
