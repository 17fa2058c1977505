/** Control groups v1: a tree for each controller, and a group of the same name in every one of them. */
import { errnoOf, type HostFiles } from '../host-files.js'
import { formatCpuList, parseCpuList } from './cpu-list.js'
import type { CgroupDriver, ControllerFiles, ControllerNeed, GroupStats, KernelWrite } from './driver.js'
import {
  ADVICE, controllerFiles, explainLack, explainRefusal, killAll, parentOf, readOr, readProcesses,
} from './group-files.js'
import type { GroupLocation } from './location.js'

const NO_LIMIT = '-1'
const MAX_SHARES = '262144'
/** Counts CPU time, where version 2 has it of `cpu`. */
const ACCOUNT = 'cpuacct'

/** The controllers whose name here is not that of version 2. */
const NAMES: Readonly<Record<string, string>> = { io: 'blkio' }

export function isControlledByV1({ controller }: ControllerNeed, located: ReadonlyMap<string, GroupLocation>): boolean {
  return located.get(nameOf(controller))?.visible === true
}

/** Makes `serverGroup`, with those `cpus`, wherever that can be done; `missing` of the driver names the rest. */
export function openCgroupV1(
  files: HostFiles, located: ReadonlyMap<string, GroupLocation>, serverGroup: string,
  needs: readonly ControllerNeed[], cpus: readonly number[],
): CgroupDriver {
  const owns = new Map<string, string>()
  const missing: Record<string, string> = {}
  for (const { controller, v1: names } of [...needs, { controller: ACCOUNT, v1: [] }]) {
    const own = located.get(nameOf(controller))?.visible ? located.get(nameOf(controller))?.own : undefined
    if (own === undefined) {
      if (controller !== ACCOUNT) missing[controller] = `the ${nameOf(controller)} controller is not mounted. ${ADVICE}`
      continue
    }
    const hierarchy = new CgroupV1(files, new Map([[nameOf(controller), own]]), {})
    try {
      if (![...owns.values()].includes(own)) hierarchy.makeDirectories(serverGroup)
      hierarchy.initialize(serverGroup)
      if (controller === 'cpuset') hierarchy.keepCpus(serverGroup, cpus)
      owns.set(nameOf(controller), own)
      const lacking = names.length > 0 && !names.some((name) => files.exists(`${own}/${serverGroup}/${name}`))
      if (lacking) missing[controller] ??= explainLack(names)
    } catch (error) {
      if (files.exists(`${own}/${serverGroup}`)) hierarchy.removeDirectory(serverGroup)
      if (controller !== ACCOUNT) missing[controller] = explainRefusal(controller, error)
    }
  }
  return new CgroupV1(files, owns, missing)
}

class CgroupV1 implements CgroupDriver {
  readonly mode = 'v1'
  readonly missing: Readonly<Record<string, string>>
  readonly #files: HostFiles
  /** Own groups by controller: co-mounted controllers share theirs. */
  readonly #owns: ReadonlyMap<string, string>
  readonly #roots: readonly string[]

  constructor(files: HostFiles, owns: ReadonlyMap<string, string>, missing: Record<string, string>) {
    this.#files = files
    this.#owns = owns
    this.#roots = [...new Set(owns.values())]
    this.missing = missing
  }

  files(group: string, controller: string): ControllerFiles {
    return controllerFiles(this.#files, 1, `${this.#owns.get(nameOf(controller))}${group && `/${group}`}`)
  }

  #directories(group: string): string[] {
    return this.#roots.map((root) => (group === '' ? root : `${root}/${group}`))
  }

  create(group: string): void {
    this.makeDirectories(group)
    this.initialize(group)
  }

  makeDirectories(group: string): void {
    for (const directory of this.#directories(group)) this.#files.makeDirectory(directory)
  }

  initialize(group: string): void {
    if (this.#owns.has('cpuset')) {
      // A new cpuset is empty, and no process can enter it until it has both.
      const [parent, own] = [this.files(parentOf(group), 'cpuset'), `${this.#owns.get('cpuset')}/${group}`]
      for (const name of ['cpuset.cpus', 'cpuset.mems']) this.#files.write(`${own}/${name}`, `${parent.read(name)}\n`)
    }
    if (this.#owns.has('memory')) this.#countHierarchically(group)
  }

  /** A process that enters a cpuset gets all its CPUs: the affinity this process was started with would end there. */
  keepCpus(group: string, cpus: readonly number[]): void {
    const cpuset = this.files(group, 'cpuset')
    const all = parseCpuList(cpuset.readOr('cpuset.effective_cpus', '') || cpuset.read('cpuset.cpus'))
    if (all.every((cpu) => cpus.includes(cpu))) return
    this.#files.write(`${this.#owns.get('cpuset')}/${group}/cpuset.cpus`, `${formatCpuList(cpus)}\n`)
  }

  /** Kernels before 5.11 count a group's children in only where told to, before it has any. */
  #countHierarchically(group: string): void {
    const path = `${this.#owns.get('memory')}/${group}/memory.use_hierarchy`
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
    if (!this.#owns.has('cpu')) return
    const path = `${this.#owns.get('cpu')}/${group}/cpu.cfs_quota_us`
    if (readOr(this.#files, path, NO_LIMIT) !== NO_LIMIT) this.#files.write(path, `${NO_LIMIT}\n`)
  }

  subgroups(group: string): string[] {
    return [...new Set(this.#directories(group).flatMap((directory) => this.#files.folders(directory)))]
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

  planCpuPriority(group: string): KernelWrite[] {
    return this.#owns.has('cpu') ? this.files(group, 'cpu').plan('cpu.shares', MAX_SHARES) : []
  }

  stats(group: string): GroupStats {
    const stats: GroupStats = {}
    if (this.#owns.has(ACCOUNT)) stats.cpuSeconds = Number(this.files(group, ACCOUNT).read('cpuacct.usage')) / 1e9
    if (!this.missing.cpu) {
      const cpu = this.files(group, 'cpu').figures('cpu.stat')
      stats.periods = cpu.get('nr_periods') ?? 0
      stats.throttledPeriods = cpu.get('nr_throttled') ?? 0
      stats.throttledSeconds = (cpu.get('throttled_time') ?? 0) / 1e9
    }
    if (!this.missing.memory) {
      const memory = this.files(group, 'memory')
      stats.memoryBytes = Number(memory.read('memory.usage_in_bytes'))
      stats.memoryPeakBytes = Number(memory.read('memory.max_usage_in_bytes'))
      stats.oomKills = this.#oomKills(group)
    }
    return stats
  }

  /** v1 counts a kill only in the group of the process that was killed. */
  #oomKills(group: string): number {
    const own = this.files(group, 'memory').figures('memory.oom_control').get('oom_kill') ?? 0
    return this.subgroups(group).reduce((sum, child) => sum + this.#oomKills(`${group}/${child}`), own)
  }
}

function nameOf(controller: string): string {
  return NAMES[controller] ?? controller
}
