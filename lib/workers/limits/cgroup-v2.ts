/** Control groups v2: one tree; a group's controllers are those its parent hands down in `cgroup.subtree_control`. */
import { formatCpuList, parseCpuList } from './cpu-list.js'
import {
  ADVICE, directoriesUp, explainRefusal, killAll, planWrite, readFigures, readProcesses,
} from './cgroup-files.js'
import type { Allowance, CgroupDriver, CpuBandwidth, CpusetKind, KernelWrite } from './driver.js'
import { errnoOf, readOr, type KernelFiles } from './kernel-files.js'
import type { GroupLocation } from './mounts.js'
import { CONTROLLERS, type Controller, type GroupStats } from './resources.js'

/** The leaf a server moves into; no task can have this name. */
const SERVER_LEAF = '_server'
const NO_LIMIT = 'max'

/** The group a server started from, where `own` is the leaf that server (or the one that started it) moved into. */
export function outsideServerLeaf(location: GroupLocation, isServerGroup: (name: string) => boolean): GroupLocation {
  const [leaf, server, ...outer] = location.own.slice(location.mountPoint.length).split('/').reverse()
  if (leaf !== SERVER_LEAF || server === undefined || !isServerGroup(server)) return location
  return { ...location, own: `${location.mountPoint}${outer.reverse().join('/')}` }
}

/**
 * Makes `serverGroup` and has the controllers handed down to it. A group that hands down controllers may hold no
 * process itself, so this process moves to a leaf of `serverGroup`.
 */
export function openCgroupV2(files: KernelFiles, location: GroupLocation, serverGroup: string): CgroupDriver {
  const { own } = location
  const offered = readOr(files, `${own}/cgroup.controllers`, '').split(' ')
  const usable = CONTROLLERS.filter((controller) => offered.includes(controller))
  const missing: Partial<Record<Controller, string>> = {}
  for (const controller of CONTROLLERS) {
    if (!usable.includes(controller)) missing[controller] = `the ${controller} controller is not delegated. ${ADVICE}`
  }
  const driver = new CgroupV2(files, location, usable, missing)
  try {
    if (usable.length > 0) driver.open(serverGroup)
    return driver
  } catch (error) {
    for (const controller of usable) missing[controller] = explainRefusal(controller, error)
    driver.abandon(serverGroup)
    return new CgroupV2(files, location, [], missing)
  }
}

class CgroupV2 implements CgroupDriver {
  readonly mode = 'v2'
  readonly missing: Readonly<Partial<Record<Controller, string>>>
  readonly #files: KernelFiles
  readonly #location: GroupLocation
  readonly #usable: readonly Controller[]

  constructor(
    files: KernelFiles, location: GroupLocation, usable: readonly Controller[],
    missing: Partial<Record<Controller, string>>,
  ) {
    this.#files = files
    this.#location = location
    this.#usable = usable
    this.missing = missing
  }

  #file(group: string, name: string): string {
    return `${this.#directory(group)}/${name}`
  }

  #directory(group: string): string {
    return group === '' ? this.#location.own : `${this.#location.own}/${group}`
  }

  open(serverGroup: string): void {
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

  allowance(): Allowance {
    const up = directoriesUp(this.#location)
    const cores = up.map((directory) => {
      const { quota, period } = parseBandwidth(readOr(this.#files, `${directory}/cpu.max`, NO_LIMIT))
      return quota === undefined ? Infinity : quota / period
    })
    const memory = up.map((directory) => parseBytes(readOr(this.#files, `${directory}/memory.max`, NO_LIMIT)))
    const allowance: Allowance = { cores: Math.min(...cores), memoryBytes: Math.min(...memory) }
    if (this.#usable.includes('cpuset')) {
      allowance.cpus = this.readCpuset('', 'cpus')
      allowance.memoryNodes = this.readCpuset('', 'mems')
    }
    return allowance
  }

  create(group: string): void {
    if (this.#usable.length === 0) return
    const parent = group.slice(0, Math.max(0, group.lastIndexOf('/')))
    this.#handDown(parent)
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
    return this.#files.exists(this.#directory(group)) ? this.#files.directories(this.#directory(group)) : []
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

  readCpu(group: string): CpuBandwidth {
    return parseBandwidth(this.#files.read(this.#file(group, 'cpu.max')))
  }

  planCpu(group: string, children: readonly string[], wanted: CpuBandwidth): KernelWrite[] {
    const plan = (name: string, { quota, period }: CpuBandwidth): KernelWrite[] => {
      const path = this.#file(name, 'cpu.max')
      const previous = this.#files.read(path)
      if (quota !== undefined) return planWrite(this.#files, path, `${quota} ${period}`, previous)
      return parseBandwidth(previous).quota === undefined ? [] : [{ path, value: NO_LIMIT, previous }]
    }
    return [...children.flatMap((child) => plan(child, { quota: undefined, period: 0 })), ...plan(group, wanted)]
  }

  readMemory(group: string): number {
    return parseBytes(this.#files.read(this.#file(group, 'memory.max')))
  }

  /** A group with a limit gets no swap: what does not fit is not paged out at the cost of every request. */
  planMemory(group: string, children: readonly string[], bytes: number): KernelWrite[] {
    const plan = (name: string, max: string, swap: string): KernelWrite[] => {
      const swapFile = this.#file(name, 'memory.swap.max')
      return [
        ...planWrite(this.#files, this.#file(name, 'memory.max'), max).map((write) => ({ ...write, reclaims: true })),
        ...planWrite(this.#files, swapFile, swap, readOr(this.#files, swapFile, swap)),
      ]
    }
    const own = Number.isFinite(bytes) ? plan(group, `${bytes}`, '0') : plan(group, NO_LIMIT, NO_LIMIT)
    return [...children.flatMap((child) => plan(child, NO_LIMIT, NO_LIMIT)), ...own]
  }

  memoryInUse(group: string): number {
    const figure = readFigures(this.#files, this.#file(group, 'memory.stat'))
    return Number(this.#files.read(this.#file(group, 'memory.current'))) - (figure('inactive_file') ?? 0)
  }

  readCpuset(group: string, kind: CpusetKind): number[] {
    return parseCpuList(this.#files.read(this.#file(group, `cpuset.${kind}.effective`)))
  }

  /** An empty set is the parent's. */
  planCpuset(group: string, children: readonly string[], kind: CpusetKind, ids: readonly number[]): KernelWrite[] {
    const plan = (name: string, list: string) => planWrite(this.#files, this.#file(name, `cpuset.${kind}`), list)
    return [...children.flatMap((child) => plan(child, '')), ...plan(group, formatCpuList(ids))]
  }

  stats(group: string): GroupStats {
    const stats: GroupStats = {}
    if (!this.missing.cpu) {
      const cpu = readFigures(this.#files, this.#file(group, 'cpu.stat'))
      stats.cpuSeconds = (cpu('usage_usec') ?? 0) / 1e6
      stats.periods = cpu('nr_periods') ?? 0
      stats.throttledPeriods = cpu('nr_throttled') ?? 0
      stats.throttledSeconds = (cpu('throttled_usec') ?? 0) / 1e6
    }
    if (!this.missing.memory) {
      const peak = readOr(this.#files, this.#file(group, 'memory.peak'), '')
      stats.memoryBytes = Number(this.#files.read(this.#file(group, 'memory.current')))
      if (peak !== '') stats.memoryPeakBytes = Number(peak)
      stats.oomKills = readFigures(this.#files, this.#file(group, 'memory.events'))('oom_kill') ?? 0
    }
    return stats
  }
}

/** `max 100000` or `18000 20000`. */
function parseBandwidth(text: string): CpuBandwidth {
  const [quota = NO_LIMIT, period = '100000'] = text.split(' ')
  return { quota: quota === NO_LIMIT ? undefined : Number(quota), period: Number(period) }
}

function parseBytes(text: string): number {
  return text === NO_LIMIT ? Infinity : Number(text)
}
