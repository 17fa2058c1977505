import { findCgroup } from './cgroup-path.js'
import type { HostFiles } from './host-files.js'
import type { BytesInUse } from './memory.js'
import { parseCpuList } from './numbers.js'

/** Version 1 says 'no limit' by the largest number of pages. */
const NO_LIMIT = 2 ** 60

interface CpuQuota {
  cpus: number
  usageSeconds: () => number | undefined
}

interface MemoryGroup {
  version: 1 | 2
  folder: string
  limit: number
}

/**
 * What this process's control groups leave it of the machine: of the group itself and all above it, the lowest limit,
 * and the use of the group that sets it (its workers included). Limits are looked up by {@link refresh} only.
 */
export class ContainerLimits {
  readonly #files: HostFiles
  #quota: CpuQuota | undefined
  #memory: MemoryGroup | undefined
  #allowedCpus: ReadonlySet<number> | undefined

  constructor(files: HostFiles) {
    this.#files = files
    this.refresh()
  }

  refresh(): void {
    this.#quota = findQuota(this.#files)
    this.#memory = findMemoryGroup(this.#files)
    const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(this.#files.text('/proc/self/status') ?? '')
    this.#allowedCpus = allowed === null ? undefined : new Set(parseCpuList(allowed[1] as string))
  }

  /** Cores this process may run on (cpuset and affinity). */
  get allowedCpus(): ReadonlySet<number> | undefined {
    return this.#allowedCpus
  }

  /** CPU time in units of one core, and what was used of it so far where that is accounted for. */
  cpu(): { cpus: number; usageSeconds: number | undefined } | undefined {
    return this.#quota && { cpus: this.#quota.cpus, usageSeconds: this.#quota.usageSeconds() }
  }

  /** Page cache that the kernel drops first is not counted as used. */
  memory(): BytesInUse | undefined {
    if (this.#memory === undefined) return undefined
    const { version, folder, limit } = this.#memory
    const used = this.#files.number(`${folder}/${version === 2 ? 'memory.current' : 'memory.usage_in_bytes'}`) ?? 0
    const key = version === 2 ? 'inactive_file' : 'total_inactive_file'
    return { limit, used: Math.max(0, used - (keyed(this.#files.text(`${folder}/memory.stat`), key) ?? 0)) }
  }

  swap(): BytesInUse | undefined {
    if (this.#memory === undefined) return undefined
    const { version, folder, limit } = this.#memory
    const number = (name: string): number | undefined => this.#files.number(`${folder}/${name}`)
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

function findQuota(files: HostFiles): CpuQuota | undefined {
  const hierarchy = findCgroup(files, 'cpu')
  const accounts = hierarchy?.version === 1 ? findCgroup(files, 'cpuacct') : undefined
  let lowest: CpuQuota | undefined
  hierarchy?.groups.forEach((folder, up) => {
    const cpus = hierarchy.version === 2 ? quotaV2(files, folder) : quotaV1(files, folder)
    if (cpus === undefined || (lowest !== undefined && lowest.cpus <= cpus)) return
    const account = sameGroup(hierarchy.groups, accounts?.groups, up)
    lowest = {
      cpus,
      usageSeconds: hierarchy.version === 2 ? () => usageV2(files, folder) : () => usageV1(files, account),
    }
  })
  return lowest
}

/** The accounting group that holds the same processes as `groups[up]`: the one of the same path below its own mount. */
function sameGroup(groups: string[], accounts: string[] | undefined, up: number): string | undefined {
  const below = (chain: string[], level: number): string => (chain[level] ?? '').slice((chain.at(-1) ?? '').length)
  return accounts?.find((_, level) => below(accounts, level) === below(groups, up))
}

function quotaV1(files: HostFiles, folder: string): number | undefined {
  return ratio(files.number(`${folder}/cpu.cfs_quota_us`), files.number(`${folder}/cpu.cfs_period_us`))
}

function quotaV2(files: HostFiles, folder: string): number | undefined {
  const match = /^(\d+) (\d+)/.exec(files.text(`${folder}/cpu.max`) ?? '')
  return match === null ? undefined : ratio(Number(match[1]), Number(match[2]))
}

function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined
}

function usageV1(files: HostFiles, folder: string | undefined): number | undefined {
  const nanoseconds = folder === undefined ? undefined : files.number(`${folder}/cpuacct.usage`)
  return nanoseconds === undefined ? undefined : nanoseconds / 1e9
}

function usageV2(files: HostFiles, folder: string): number | undefined {
  const microseconds = keyed(files.text(`${folder}/cpu.stat`), 'usage_usec')
  return microseconds === undefined ? undefined : microseconds / 1e6
}

function findMemoryGroup(files: HostFiles): MemoryGroup | undefined {
  const hierarchy = findCgroup(files, 'memory')
  let lowest: MemoryGroup | undefined
  for (const folder of hierarchy?.groups ?? []) {
    const version = hierarchy?.version ?? 2
    const limit = files.number(`${folder}/${version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`)
    if (limit !== undefined && limit < (lowest?.limit ?? NO_LIMIT)) lowest = { version, folder, limit }
  }
  return lowest
}

/** The number after `key` in a file of `key value` lines. */
function keyed(text: string | undefined, key: string): number | undefined {
  const match = text === undefined ? null : new RegExp(`^${key} (\\d+)$`, 'm').exec(text)
  return match === null ? undefined : Number(match[1])
}
