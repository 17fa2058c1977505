/** Control groups v2: one tree; a group's controllers are those its parent hands down in `cgroup.subtree_control`. */
import { errnoOf, type HostFiles } from '../host-files.js'
import { formatCpuList, parseCpuList } from './cpu-list.js'
import type { CgroupDriver, ControllerFiles, ControllerNeed, GroupStats, KernelWrite } from './driver.js'
import {
  ADVICE, controllerFiles, explainLack, explainRefusal, killAll, parentOf, readOr, readProcesses,
} from './group-files.js'
import type { GroupLocation } from './location.js'

/** The leaf a server moves into; no task can have this name. */
const SERVER_LEAF = '_server'
const MAX_WEIGHT = '10000'

/** The group a server started from, where `own` is the leaf that server (or the one that started it) moved into. */
export function outsideServerLeaf(location: GroupLocation, isServerGroup: (name: string) => boolean): GroupLocation {
  const [leaf, server, ...outer] = location.own.slice(location.mountPoint.length).split('/').reverse()
  if (leaf !== SERVER_LEAF || server === undefined || !isServerGroup(server)) return location
  return { ...location, own: `${location.mountPoint}${outer.reverse().join('/')}` }
}

/**
 * Makes `serverGroup`, with those `cpus`, and has the controllers handed down to it. A group that hands down
 * controllers may hold no process itself, so this process moves to a leaf of `serverGroup`.
 */
export function openCgroupV2(
  files: HostFiles, location: GroupLocation, serverGroup: string,
  needs: readonly ControllerNeed[], cpus: readonly number[],
): CgroupDriver {
  const { own } = location
  const offered = readOr(files, `${own}/cgroup.controllers`, '').split(' ')
  const usable = needs.map(({ controller }) => controller).filter((controller) => offered.includes(controller))
  const missing: Record<string, string> = {}
  for (const { controller } of needs) {
    if (!usable.includes(controller)) missing[controller] = `the ${controller} controller is not delegated. ${ADVICE}`
  }
  const driver = new CgroupV2(files, location, usable, missing)
  try {
    if (usable.length > 0) driver.open(serverGroup, cpus)
  } catch (error) {
    for (const controller of usable) missing[controller] = explainRefusal(controller, error)
    driver.abandon(serverGroup)
    return new CgroupV2(files, location, [], missing)
  }
  for (const { controller, v2: names } of needs) {
    const lacking = names.length > 0 && !names.some((name) => files.exists(`${own}/${serverGroup}/${name}`))
    if (lacking && usable.includes(controller)) missing[controller] = explainLack(names)
  }
  return driver
}

class CgroupV2 implements CgroupDriver {
  readonly mode = 'v2'
  readonly missing: Readonly<Record<string, string>>
  readonly #files: HostFiles
  readonly #location: GroupLocation
  readonly #usable: readonly string[]

  constructor(
    files: HostFiles, location: GroupLocation, usable: readonly string[], missing: Record<string, string>,
  ) {
    this.#files = files
    this.#location = location
    this.#usable = usable
    this.missing = missing
  }

  files(group: string): ControllerFiles {
    return controllerFiles(this.#files, 2, this.#directory(group))
  }

  #file(group: string, name: string): string {
    return `${this.#directory(group)}/${name}`
  }

  #directory(group: string): string {
    return group === '' ? this.#location.own : `${this.#location.own}/${group}`
  }

  open(serverGroup: string, cpus: readonly number[]): void {
    this.#files.makeDirectory(this.#directory(serverGroup))
    if (!this.#isRoot() && this.processes('').includes(process.pid)) {
      const leaf = `${serverGroup}/${SERVER_LEAF}`
      this.#files.makeDirectory(this.#directory(leaf))
      this.enter(leaf, process.pid)
    }
    // The kernel lets a group with processes hand down cpu alone, but then nothing can enter its children.
    const others = this.#isRoot() ? [] : this.processes('')
    if (others.length > 0) {
      throw new Error(`other processes (${others.slice(0, 8).join(', ')}) are in the group the server was started in`)
    }
    this.#handDown('')
    if (this.#usable.includes('cpuset')) this.#keepCpus(serverGroup, cpus)
  }

  /** A process that enters a cpuset gets all its CPUs: the affinity this process was started with would end there. */
  #keepCpus(group: string, cpus: readonly number[]): void {
    const all = parseCpuList(this.#files.read(this.#file(group, 'cpuset.cpus.effective')))
    if (all.every((cpu) => cpus.includes(cpu))) return
    this.#files.write(this.#file(group, 'cpuset.cpus'), `${formatCpuList(cpus)}\n`)
  }

  /** Only the root of the whole tree has no type. */
  #isRoot(): boolean {
    return !this.#files.exists(this.#file('', 'cgroup.type'))
  }

  /** Undoes an `open` that failed half-way. */
  abandon(serverGroup: string): void {
    if (!this.#files.exists(this.#directory(serverGroup))) return
    this.#empty(`${serverGroup}/${SERVER_LEAF}`)
    this.removeDirectory(`${serverGroup}/${SERVER_LEAF}`)
    this.removeDirectory(serverGroup)
  }

  #handDown(group: string): void {
    const path = this.#file(group, 'cgroup.subtree_control')
    const handedDown = this.#files.read(path).split(' ')
    const lacking = this.#usable.filter((controller) => !handedDown.includes(controller))
    if (lacking.length > 0) this.#files.write(path, `${lacking.map((name) => `+${name}`).join(' ')}\n`)
  }

  #takeBack(group: string): void {
    const path = this.#file(group, 'cgroup.subtree_control')
    const handedDown = this.#files.read(path).split(' ').filter((name) => name !== '')
    if (handedDown.length > 0) this.#files.write(path, `${handedDown.map((name) => `-${name}`).join(' ')}\n`)
  }

  create(group: string): void {
    if (this.#usable.length === 0) return
    this.#handDown(parentOf(group))
    this.#files.makeDirectory(this.#directory(group))
  }

  removeDirectory(group: string): void {
    try {
      this.#files.removeDirectory(this.#directory(group))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }

  subgroups(group: string): string[] {
    return this.#files.folders(this.#directory(group))
  }

  processes(group: string): number[] {
    return this.#files.exists(this.#directory(group)) ? readProcesses(this.#files, this.#directory(group)) : []
  }

  enter(group: string, pid: number): void {
    if (this.#usable.length > 0) this.#files.write(this.#file(group, 'cgroup.procs'), `${pid}\n`)
  }

  /** `cgroup.kill` (Linux 5.14) leaves no process that forks the time to get away. */
  killProcesses(group: string): void {
    const processes = this.processes(group)
    const path = this.#file(group, 'cgroup.kill')
    if (processes.length === 0) return
    if (!processes.includes(process.pid) && this.#files.exists(path)) this.#files.write(path, '1\n')
    else killAll(this.#files, processes)
  }

  /** Back where the server started, unless another server's groups need that group to hand down its controllers. */
  leave(serverGroup: string): boolean {
    const leaf = `${serverGroup}/${SERVER_LEAF}`
    if (!this.#files.exists(this.#directory(leaf))) return true
    if (this.subgroups('').some((group) => group !== serverGroup)) return false
    this.#takeBack(serverGroup)
    this.#takeBack('')
    this.#empty(leaf)
    return true
  }

  #empty(leaf: string): void {
    for (const pid of this.processes(leaf)) {
      try {
        this.enter('', pid)
      } catch (error) {
        if (errnoOf(error) !== 'ESRCH') throw error
      }
    }
  }

  planCpuPriority(group: string): KernelWrite[] {
    return this.missing.cpu ? [] : this.files(group).plan('cpu.weight', MAX_WEIGHT)
  }

  stats(group: string): GroupStats {
    const stats: GroupStats = {}
    const files = this.files(group)
    if (!this.missing.cpu) {
      const cpu = files.figures('cpu.stat')
      stats.cpuSeconds = (cpu.get('usage_usec') ?? 0) / 1e6
      stats.periods = cpu.get('nr_periods') ?? 0
      stats.throttledPeriods = cpu.get('nr_throttled') ?? 0
      stats.throttledSeconds = (cpu.get('throttled_usec') ?? 0) / 1e6
    }
    if (!this.missing.memory) {
      const peak = files.readOr('memory.peak', '')
      stats.memoryBytes = Number(files.read('memory.current'))
      if (peak !== '') stats.memoryPeakBytes = Number(peak)
      stats.oomKills = files.figures('memory.events').get('oom_kill') ?? 0
    }
    return stats
  }
}
