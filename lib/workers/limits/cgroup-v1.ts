/** Control groups v1: a tree for each controller, and a group of the same name in every one of them. */
import { formatCpuList, parseCpuList } from './cpu-list.js'
import {
  ADVICE, directoriesUp, explainRefusal, killAll, planWrite, readFigures, readProcesses,
} from './cgroup-files.js'
import type { Allowance, CgroupDriver, CpuBandwidth, CpusetKind, KernelWrite } from './driver.js'
import { errnoOf, readOr, type KernelFiles } from './kernel-files.js'
import type { GroupLocation } from './mounts.js'
import { CONTROLLERS, type Controller, type GroupStats } from './resources.js'

/** The kernel answers a number of pages near 2^63 bytes where nothing limits memory. */
const UNLIMITED_BYTES = 2 ** 62
const NO_LIMIT = '-1'

/** Makes `serverGroup` wherever that can be done; `missing` of the driver names the rest. */
export function openCgroupV1(
  files: KernelFiles, located: ReadonlyMap<string, GroupLocation>, serverGroup: string,
): CgroupDriver {
  const usable = new Map<string, GroupLocation>()
  const missing: Partial<Record<Controller, string>> = {}
  for (const controller of [...CONTROLLERS, 'cpuacct']) {
    const location = located.get(controller)
    if (!location) continue
    const coMounted = [...usable.values()].some(({ own }) => own === location.own)
    const hierarchy = new CgroupV1(files, new Map([[controller, location]]), {})
    try {
      if (!coMounted) hierarchy.create(serverGroup)
      usable.set(controller, location)
    } catch (error) {
      if (files.exists(`${location.own}/${serverGroup}`)) hierarchy.removeDirectory(serverGroup)
      if (controller !== 'cpuacct') missing[controller as Controller] = explainRefusal(controller, error)
    }
  }
  for (const controller of CONTROLLERS) {
    if (!located.has(controller)) missing[controller] = `the ${controller} controller is not mounted. ${ADVICE}`
  }
  const cpu = usable.get('cpu')
  if (cpu && !files.exists(`${cpu.own}/${serverGroup}/cpu.cfs_quota_us`)) {
    missing.cpu = 'the kernel was built without CONFIG_CFS_BANDWIDTH, so that it cannot hold a CPU limit'
  }
  return new CgroupV1(files, usable, missing)
}

class CgroupV1 implements CgroupDriver {
  readonly mode = 'v1'
  readonly missing: Readonly<Partial<Record<Controller, string>>>
  readonly #files: KernelFiles
  readonly #located: ReadonlyMap<string, GroupLocation>
  /** Own groups, one for each hierarchy: co-mounted controllers share theirs. */
  readonly #roots: readonly string[]

  constructor(
    files: KernelFiles, located: ReadonlyMap<string, GroupLocation>, missing: Partial<Record<Controller, string>>,
  ) {
    this.#files = files
    this.#located = located
    this.#roots = [...new Set([...located.values()].map((location) => location.own))]
    this.missing = missing
  }

  #file(controller: string, group: string, name: string): string {
    return `${this.#directory(controller, group)}/${name}`
  }

  #directory(controller: string, group: string): string {
    const own = this.#located.get(controller)?.own
    return group === '' ? `${own}` : `${own}/${group}`
  }

  #directories(group: string): string[] {
    return this.#roots.map((root) => (group === '' ? root : `${root}/${group}`))
  }

  allowance(): Allowance {
    const allowance: Allowance = {}
    const up = (controller: string) => directoriesUp(this.#located.get(controller) as GroupLocation)
    if (this.#located.has('cpu')) {
      const cores = up('cpu').map((directory) => {
        const quota = Number(readOr(this.#files, `${directory}/cpu.cfs_quota_us`, NO_LIMIT))
        return quota < 0 ? Infinity : quota / Number(this.#files.read(`${directory}/cpu.cfs_period_us`))
      })
      allowance.cores = Math.min(...cores)
    }
    if (this.#located.has('memory')) {
      allowance.memoryBytes = Math.min(...up('memory').map((directory) => readBytes(this.#files, directory)))
    }
    if (this.#located.has('cpuset')) {
      allowance.cpus = this.readCpuset('', 'cpus')
      allowance.memoryNodes = this.readCpuset('', 'mems')
    }
    return allowance
  }

  create(group: string): void {
    for (const directory of this.#directories(group)) this.#files.makeDirectory(directory)
    if (this.#located.has('cpuset')) {
      // A new cpuset is empty, and no process can enter it until it has both.
      for (const name of ['cpuset.cpus', 'cpuset.mems']) {
        const inherited = this.#files.read(this.#file('cpuset', parentOf(group), name))
        this.#files.write(this.#file('cpuset', group, name), `${inherited}\n`)
      }
    }
    if (this.#located.has('memory')) this.#countHierarchically(group)
  }

  /** Kernels before 5.11 count a group's children in only where told to, before it has any. */
  #countHierarchically(group: string): void {
    const path = this.#file('memory', group, 'memory.use_hierarchy')
    if (readOr(this.#files, path, '1') === '0') this.#files.write(path, '1\n')
  }

  removeDirectory(group: string): void {
    this.#releaseBandwidth(group)
    for (const directory of this.#directories(group)) {
      try {
        this.#files.removeDirectory(directory)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error
      }
    }
  }

  /** The kernel counts a removed group's quota against its parent's for a while: lowering that would be refused. */
  #releaseBandwidth(group: string): void {
    if (!this.#located.has('cpu')) return
    const path = this.#file('cpu', group, 'cpu.cfs_quota_us')
    if (readOr(this.#files, path, NO_LIMIT) !== NO_LIMIT) this.#files.write(path, `${NO_LIMIT}\n`)
  }

  subgroups(group: string): string[] {
    return [...new Set(this.#directories(group).flatMap((directory) => {
      return this.#files.exists(directory) ? this.#files.directories(directory) : []
    }))]
  }

  processes(group: string): number[] {
    return [...new Set(this.#directories(group).flatMap((directory) => {
      return this.#files.exists(directory) ? readProcesses(this.#files, directory) : []
    }))]
  }

  enter(group: string, pid: number): void {
    for (const directory of this.#directories(group)) this.#files.write(`${directory}/cgroup.procs`, `${pid}\n`)
  }

  killProcesses(group: string): void {
    killAll(this.#files, this.processes(group))
  }

  leave(): boolean {
    return true
  }

  readCpu(group: string): CpuBandwidth {
    const quota = Number(this.#files.read(this.#file('cpu', group, 'cpu.cfs_quota_us')))
    const period = Number(this.#files.read(this.#file('cpu', group, 'cpu.cfs_period_us')))
    return { quota: quota < 0 ? undefined : quota, period }
  }

  /** The kernel refuses a child more than its parent has: the children are let go first. */
  planCpu(group: string, children: readonly string[], wanted: CpuBandwidth): KernelWrite[] {
    return [
      ...children.flatMap((child) => this.#planBandwidth(child, { quota: undefined, period: 0 })),
      ...this.#planBandwidth(group, wanted),
    ]
  }

  /** Quota and period are two files; between two limits of different period there is none for an instant. */
  #planBandwidth(group: string, wanted: CpuBandwidth): KernelWrite[] {
    const quotaFile = this.#file('cpu', group, 'cpu.cfs_quota_us')
    const periodFile = this.#file('cpu', group, 'cpu.cfs_period_us')
    const released = planWrite(this.#files, quotaFile, NO_LIMIT)
    if (wanted.quota === undefined) return released
    const period = planWrite(this.#files, periodFile, `${wanted.period}`)
    if (period.length === 0) return planWrite(this.#files, quotaFile, `${wanted.quota}`)
    return [...released, ...period, { path: quotaFile, value: `${wanted.quota}`, previous: NO_LIMIT }]
  }

  readMemory(group: string): number {
    return readBytes(this.#files, this.#directory('memory', group))
  }

  planMemory(group: string, children: readonly string[], bytes: number): KernelWrite[] {
    return [...children.flatMap((child) => this.#planBytes(child, Infinity)), ...this.#planBytes(group, bytes)]
  }

  /** Memory with swap has the same limit, and must never be the lower of the two: it is raised first, lowered last. */
  #planBytes(group: string, bytes: number): KernelWrite[] {
    const value = Number.isFinite(bytes) ? `${bytes}` : NO_LIMIT
    const plan = (name: string): KernelWrite[] => {
      const path = this.#file('memory', group, name)
      const previous = readOr(this.#files, path, value)
      const same = Number(previous) >= UNLIMITED_BYTES ? value === NO_LIMIT : previous === value
      return same ? [] : [{ path, value, previous, reclaims: true }]
    }
    const [memory, withSwap] = [plan('memory.limit_in_bytes'), plan('memory.memsw.limit_in_bytes')]
    return bytes > this.readMemory(group) ? [...withSwap, ...memory] : [...memory, ...withSwap]
  }

  memoryInUse(group: string): number {
    const usage = Number(this.#files.read(this.#file('memory', group, 'memory.usage_in_bytes')))
    const figure = readFigures(this.#files, this.#file('memory', group, 'memory.stat'))
    return usage - (figure('total_inactive_file') ?? 0)
  }

  readCpuset(group: string, kind: CpusetKind): number[] {
    const effective = readOr(this.#files, this.#file('cpuset', group, `cpuset.effective_${kind}`), '')
    return parseCpuList(effective || this.#files.read(this.#file('cpuset', group, `cpuset.${kind}`)))
  }

  /** A child's set is a part of its parent's at every step: the parent first gets both the old and the new. */
  planCpuset(group: string, children: readonly string[], kind: CpusetKind, ids: readonly number[]): KernelWrite[] {
    const path = this.#file('cpuset', group, `cpuset.${kind}`)
    const [wanted, old] = [formatCpuList(ids), this.#files.read(path)]
    const both = formatCpuList([...ids, ...parseCpuList(old)])
    return [
      ...planWrite(this.#files, path, both, old),
      ...children.flatMap((child) => {
        return planWrite(this.#files, this.#file('cpuset', child, `cpuset.${kind}`), wanted)
      }),
      ...planWrite(this.#files, path, wanted, both),
    ]
  }

  stats(group: string): GroupStats {
    const stats: GroupStats = {}
    if (this.#located.has('cpuacct')) {
      stats.cpuSeconds = Number(this.#files.read(this.#file('cpuacct', group, 'cpuacct.usage'))) / 1e9
    }
    if (!this.missing.cpu) {
      const cpu = readFigures(this.#files, this.#file('cpu', group, 'cpu.stat'))
      stats.periods = cpu('nr_periods') ?? 0
      stats.throttledPeriods = cpu('nr_throttled') ?? 0
      stats.throttledSeconds = (cpu('throttled_time') ?? 0) / 1e9
    }
    if (!this.missing.memory) {
      stats.memoryBytes = Number(this.#files.read(this.#file('memory', group, 'memory.usage_in_bytes')))
      stats.memoryPeakBytes = Number(this.#files.read(this.#file('memory', group, 'memory.max_usage_in_bytes')))
      stats.oomKills = this.#oomKills(group)
    }
    return stats
  }

  /** v1 counts a kill only in the group of the process that was killed. */
  #oomKills(group: string): number {
    const own = readFigures(this.#files, this.#file('memory', group, 'memory.oom_control'))('oom_kill') ?? 0
    return this.subgroups(group).reduce((sum, child) => sum + this.#oomKills(`${group}/${child}`), own)
  }
}

function parentOf(group: string): string {
  return group.slice(0, Math.max(0, group.lastIndexOf('/')))
}

function readBytes(files: KernelFiles, directory: string): number {
  const bytes = Number(files.read(`${directory}/memory.limit_in_bytes`))
  return bytes >= UNLIMITED_BYTES ? Infinity : bytes
}
