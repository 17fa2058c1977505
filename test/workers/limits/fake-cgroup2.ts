/**
 * A control group v2 tree in memory, with the kernel's rules (cgroup-v2.rst and the checks in kernel/cgroup/cgroup.c):
 * what can be enabled, entered and removed, what a value must look like, what vanishes with a controller. It records
 * every change in order. `fake-cgroup2.unit.test.ts` holds it against the real tree of the machine.
 */
import { formatCpuList, parseCpuList } from '../../../lib/host/cgroup/index.js'
import { HostFiles } from '../../../lib/host/host-files.js'

const THREADED = ['cpu', 'cpuset', 'pids']
/** In the order the kernel prints them. */
const KNOWN = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids']
const PAGE = 4096

interface FakeGroup {
  readonly path: string
  readonly parent: FakeGroup | undefined
  readonly processes: Set<number>
  readonly handedDown: Set<string>
  /** What has been written, by file; gone with its controller. */
  readonly values: Map<string, string>
  /** Bytes: what cannot be reclaimed, and page cache that can. */
  memory: { used: number; cache: number }
  oomKills: number
}

export interface FakeMachineOptions {
  /** The group this process starts in, below the mount; `''` is the root. */
  own: string
  /** Controllers handed down to it. */
  controllers: string[]
  cpus?: string
  /** CPUs this process was started on, where these are fewer (taskset). */
  affinity?: string
  pid?: number
}

export class FakeMachine extends HostFiles {
  readonly mount = '/sys/fs/cgroup'
  /** Every change in order: `mkdir <group>`, `rmdir <group>`, `<group>/<file> = <value>`, groups as seen from `own`. */
  readonly log: string[] = []
  /** Start times of the processes that live. */
  readonly startTimes = new Map<number, string>()
  /** A write the kernel is to refuse: `<group>/<file>` → errno. */
  readonly refusals = new Map<string, string>()
  readonly #groups = new Map<string, FakeGroup>()
  readonly #own: string
  readonly #root: FakeGroup
  readonly #controllers: string[]
  readonly #cpus: string
  readonly #affinity: string
  readonly #pid: number

  constructor({ own, controllers, cpus = '0-3', affinity = cpus, pid = process.pid }: FakeMachineOptions) {
    super()
    this.#root = this.#newGroup('', undefined)
    this.#own = own
    this.#controllers = controllers
    this.#cpus = cpus
    this.#affinity = affinity
    this.#pid = pid
    let group = this.#root
    for (const name of own.split('/').slice(1)) {
      for (const controller of controllers) group.handedDown.add(controller)
      group = this.#newGroup(`${group.path}/${name}`, group)
    }
    this.run(pid, own, '1000')
  }

  /** A process that lives in a group, named as in `log`'s absolute form (below the mount). */
  run(pid: number, group: string, startTime: string): void {
    this.startTimes.set(pid, startTime)
    this.#group(group, 'ENOENT').processes.add(pid)
  }

  end(pid: number): void {
    this.startTimes.delete(pid)
    for (const group of this.#groups.values()) group.processes.delete(pid)
  }

  /** Bytes in use in a group, and page cache beside them. */
  charge(group: string, used: number, cache = 0): void {
    this.#group(`${this.#own}/${group}`, 'ENOENT').memory = { used, cache }
  }

  /** Groups below `own`. */
  groups(): string[] {
    const below = [...this.#groups.keys()].filter((path) => path.startsWith(`${this.#own}/`))
    return below.map((path) => this.#relative(path))
  }

  groupOf(pid: number): string | undefined {
    return [...this.#groups.values()].find((group) => group.processes.has(pid))?.path
  }

  takeLog(): string[] {
    return this.log.splice(0)
  }

  // HostFiles

  override read(path: string): string {
    const system = this.#readSystem(path)
    if (system !== undefined) return system
    const { group, file } = this.#resolve(path)
    const read = this.#files(group)[file]
    if (!read) throw errno('ENOENT', path)
    return read()
  }

  override write(path: string, text: string): void {
    const { group, file } = this.#resolve(path)
    if (!this.#files(group)[file]) throw errno('ENOENT', path)
    const value = text.trim()
    const name = `${this.#relative(group.path)}/${file}`
    const refusal = this.refusals.get(name)
    if (refusal) throw errno(refusal, path)
    this.#apply(group, file, value)
    this.log.push(`${name} = ${value}`)
  }

  override async writeReclaiming(path: string, text: string): Promise<void> {
    await Promise.resolve()
    this.write(path, text)
  }

  override exists(path: string): boolean {
    if (this.#groups.has(path.slice(this.mount.length)) || this.#readSystem(path) !== undefined) return true
    const slash = path.lastIndexOf('/')
    const group = this.#groups.get(path.slice(this.mount.length, slash))
    return group !== undefined && this.#files(group)[path.slice(slash + 1)] !== undefined
  }

  override makeDirectory(path: string): void {
    const below = path.slice(this.mount.length)
    const parent = this.#group(below.slice(0, below.lastIndexOf('/')), 'ENOENT')
    const refusal = this.refusals.get(`mkdir ${this.#relative(parent.path)}`)
    if (refusal) throw errno(refusal, path)
    if (this.#groups.has(below) || this.#files(parent)[below.slice(parent.path.length + 1)]) throw errno('EEXIST', path)
    this.#newGroup(below, parent)
    this.log.push(`mkdir ${this.#relative(below)}`)
  }

  override removeDirectory(path: string): void {
    const group = this.#group(path.slice(this.mount.length), 'ENOENT')
    if (group.processes.size > 0 || this.#children(group).length > 0) throw errno('EBUSY', path)
    this.#groups.delete(group.path)
    this.log.push(`rmdir ${this.#relative(group.path)}`)
  }

  override folders(path: string): string[] {
    const group = this.#groups.get(path.slice(this.mount.length))
    return !group ? [] : this.#children(group).map((child) => child.path.slice(group.path.length + 1))
  }

  override readLink(path: string): string {
    if (path === '/proc/self/ns/pid') return 'pid:[4026531836]'
    throw errno('ENOENT', path)
  }

  override fileSystemType(path: string): number {
    return path === this.mount ? 0x63677270 : 0x1021994
  }

  override kill(pid: number): void {
    if (!this.startTimes.has(pid)) throw errno('ESRCH', 'kill')
    this.end(pid)
  }

  // the tree

  #newGroup(path: string, parent: FakeGroup | undefined): FakeGroup {
    const group: FakeGroup = {
      path, parent, processes: new Set(), handedDown: new Set(), values: new Map(),
      memory: { used: 0, cache: 0 }, oomKills: 0,
    }
    this.#groups.set(path, group)
    return group
  }

  #group(path: string, code: string): FakeGroup {
    const group = this.#groups.get(path)
    if (!group) throw errno(code, path)
    return group
  }

  #resolve(path: string): { group: FakeGroup; file: string } {
    const below = path.startsWith(this.mount) ? path.slice(this.mount.length) : ''
    const slash = below.lastIndexOf('/')
    if (slash < 0) throw errno('ENOENT', path)
    return { group: this.#group(below.slice(0, slash), 'ENOENT'), file: below.slice(slash + 1) }
  }

  #relative(path: string): string {
    return path === this.#own ? '.' : path.slice(this.#own.length + 1)
  }

  #children(group: FakeGroup): FakeGroup[] {
    return [...this.#groups.values()].filter((candidate) => candidate.parent === group)
  }

  #subtree(group: FakeGroup): FakeGroup[] {
    return [group, ...this.#children(group).flatMap((child) => this.#subtree(child))]
  }

  #readSystem(path: string): string | undefined {
    const pid = /^\/proc\/(\d+)\/stat$/.exec(path)?.[1]
    if (pid !== undefined) {
      const start = this.startTimes.get(Number(pid))
      return start === undefined ? undefined : `${pid} (node (x) y) S ${'0 '.repeat(18)}${start} 0 0`
    }
    switch (path) {
      case '/proc/self/mountinfo':
        return '24 1 0:22 / /proc rw - proc proc rw\n' +
          `30 24 0:26 / ${this.mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate`
      case '/proc/self/cgroup':
        return `0::${this.groupOf(this.#pid) || '/'}`
      case '/proc/meminfo':
        return 'MemTotal:        8388608 kB\nMemFree:         1000000 kB'
      case '/proc/stat':
        return ['cpu  0 0 0 0', ...parseCpuList(this.#cpus).map((cpu) => `cpu${cpu} 0 0 0 0`)].join('\n')
      case '/proc/self/status':
        return `Name:\tnode\nCpus_allowed_list:\t${formatCpuList(this.#allowedCpus())}\nMems_allowed_list:\t0`
      case '/sys/devices/system/node/online':
        return '0'
    }
    return undefined
  }

  // files

  /** The files of a group, with how each is read. */
  #files(group: FakeGroup): Record<string, () => string> {
    const sorted = (names: Iterable<string>) => [...names].sort((a, b) => KNOWN.indexOf(a) - KNOWN.indexOf(b)).join(' ')
    const files: Record<string, () => string> = {
      'cgroup.controllers': () => sorted(this.#available(group)),
      'cgroup.subtree_control': () => sorted(group.handedDown),
      'cgroup.procs': () => [...group.processes].join('\n'),
    }
    const available = this.#available(group)
    if (available.includes('cpuset')) {
      files['cpuset.cpus.effective'] = () => formatCpuList(this.#effective(group, 'cpuset.cpus', this.#cpus))
      files['cpuset.mems.effective'] = () => formatCpuList(this.#effective(group, 'cpuset.mems', '0'))
    }
    if (!group.parent) return files
    const value = (file: string, initial: string) => { files[file] = () => group.values.get(file) ?? initial }
    files['cgroup.type'] = () => this.#type(group)
    files['cgroup.kill'] = () => { throw errno('EINVAL', 'cgroup.kill') }
    files['cgroup.events'] = () => `populated ${this.#isPopulated(group) ? 1 : 0}\nfrozen 0`
    const bandwidth = available.includes('cpu') ? '\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0' : ''
    files['cpu.stat'] = () => `usage_usec 0\nuser_usec 0\nsystem_usec 0${bandwidth}`
    if (available.includes('cpu')) {
      value('cpu.max', 'max 100000')
      value('cpu.weight', '100')
    }
    if (available.includes('memory')) {
      value('memory.max', 'max')
      value('memory.swap.max', 'max')
      files['memory.current'] = () => `${this.#sum(group, ({ memory }) => memory.used + memory.cache)}`
      files['memory.stat'] = () => `anon 0\ninactive_file ${this.#sum(group, ({ memory }) => memory.cache)}`
      files['memory.events'] = () => `low 0\noom 0\noom_kill ${this.#sum(group, ({ oomKills }) => oomKills)}`
    }
    if (available.includes('cpuset')) {
      value('cpuset.cpus', '')
      value('cpuset.mems', '')
    }
    return files
  }

  #isPopulated(group: FakeGroup): boolean {
    return this.#subtree(group).some(({ processes }) => processes.size > 0)
  }

  #available(group: FakeGroup): string[] {
    return group.parent ? [...group.parent.handedDown] : this.#controllers
  }

  #sum(group: FakeGroup, figure: (group: FakeGroup) => number): number {
    return this.#subtree(group).reduce((sum, each) => sum + figure(each), 0)
  }

  #effective(group: FakeGroup, file: string, all: string): number[] {
    if (!group.parent) return parseCpuList(all)
    const parent = this.#effective(group.parent, file, all)
    const own = parseCpuList(group.values.get(file) ?? '').filter((id) => parent.includes(id))
    return own.length > 0 ? own : parent
  }

  /** Of this process. */
  #allowedCpus(): number[] {
    const affinity = parseCpuList(this.#affinity)
    const cpuset = this.#effective(this.#group(this.groupOf(this.#pid) ?? '', 'ENOENT'), 'cpuset.cpus', this.#cpus)
    return cpuset.filter((cpu) => affinity.includes(cpu))
  }

  #apply(group: FakeGroup, file: string, value: string): void {
    switch (file) {
      case 'cgroup.subtree_control':
        return this.#handDown(group, value)
      case 'cgroup.procs':
        return this.#enter(group, Number(value))
      case 'cgroup.kill':
        if (value !== '1') throw errno('ERANGE', file)
        for (const { processes } of this.#subtree(group)) for (const pid of processes) this.end(pid)
        return
      case 'cpu.max':
        return this.#setBandwidth(group, value)
      case 'cpu.weight':
        if (!/^\d+$/.test(value)) throw errno('EINVAL', file)
        if (Number(value) < 1 || Number(value) > 10_000) throw errno('ERANGE', file)
        group.values.set(file, value)
        return
      case 'memory.max':
        return this.#setMemory(group, value)
      case 'memory.swap.max':
        group.values.set(file, toPages(value))
        return
      case 'cpuset.cpus':
      case 'cpuset.mems':
        return this.#setCpuset(group, file, value)
      default:
        // Of a file that is only read; root is not kept from opening it.
        throw errno('EINVAL', file)
    }
  }

  #handDown(group: FakeGroup, value: string): void {
    const [enable, disable]: [string[], string[]] = [[], []]
    for (const token of value.split(' ')) {
      const name = token.slice(1)
      if (!KNOWN.includes(name) || !/^[+-]/.test(token)) throw errno('EINVAL', token)
      if (token[0] === '+' && !group.handedDown.has(name)) enable.push(name)
      if (token[0] === '-' && group.handedDown.has(name)) disable.push(name)
    }
    if (enable.some((name) => !this.#available(group).includes(name))) throw errno('ENOENT', value)
    const children = this.#children(group)
    if (disable.some((name) => children.some((child) => child.handedDown.has(name)))) throw errno('EBUSY', value)
    if (enable.length > 0) this.#checkEnable(group, enable)
    for (const name of enable) group.handedDown.add(name)
    for (const name of disable) {
      group.handedDown.delete(name)
      for (const { values } of children) {
        for (const file of values.keys()) if (file.startsWith(`${name}.`)) values.delete(file)
      }
    }
  }

  #checkEnable(group: FakeGroup, enable: string[]): void {
    if (!group.parent) return
    if (this.#type(group) === 'domain invalid') throw errno('EOPNOTSUPP', group.path)
    const domain = enable.some((name) => !THREADED.includes(name))
    if (domain && this.#isThreadRoot(group)) throw errno('EOPNOTSUPP', group.path)
    if (!domain && this.#canBeThreadRoot(group)) return
    if (group.processes.size > 0) throw errno('EBUSY', group.path)
  }

  #enter(group: FakeGroup, pid: number): void {
    if (!this.startTimes.has(pid)) throw errno('ESRCH', group.path)
    if (this.#type(group) === 'domain invalid') throw errno('EOPNOTSUPP', group.path)
    if (group.handedDown.size > 0 && !this.#canBeThreadRoot(group)) throw errno('EBUSY', group.path)
    for (const other of this.#groups.values()) other.processes.delete(pid)
    group.processes.add(pid)
  }

  #canBeThreadRoot(group: FakeGroup): boolean {
    if (!group.parent) return true
    const populated = this.#subtree(group).some((each) => each !== group && each.processes.size > 0)
    return !populated && [...group.handedDown].every((name) => THREADED.includes(name))
  }

  /** A group that has processes and hands down threaded controllers. */
  #isThreadRoot(group: FakeGroup): boolean {
    if (!group.parent || group.processes.size === 0) return false
    return [...group.handedDown].some((name) => THREADED.includes(name))
  }

  #type(group: FakeGroup): string {
    for (let above = group.parent; above; above = above.parent) if (this.#isThreadRoot(above)) return 'domain invalid'
    return this.#isThreadRoot(group) ? 'domain threaded' : 'domain'
  }

  #setBandwidth(group: FakeGroup, value: string): void {
    const periodNow = (group.values.get('cpu.max') ?? 'max 100000').split(' ')[1]
    const [, quota, period = periodNow] = /^(max|\d+)(?: (\d+))?$/.exec(value) ?? []
    if (quota === undefined || Number(period) < 1_000 || Number(period) > 1_000_000) throw errno('EINVAL', value)
    if (quota !== 'max' && Number(quota) < 1_000) throw errno('EINVAL', value)
    group.values.set('cpu.max', `${quota} ${period}`)
  }

  #setCpuset(group: FakeGroup, file: string, value: string): void {
    if (!/^$|^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value)) throw errno('EINVAL', file)
    const ids = parseCpuList(value)
    const all = parseCpuList(file === 'cpuset.cpus' ? this.#cpus : '0')
    if (!ids.every((id) => all.includes(id))) throw errno(file === 'cpuset.cpus' ? 'ERANGE' : 'EINVAL', file)
    if (ids.length === 0 && this.#isPopulated(group) && group.values.get(file)) throw errno('ENOSPC', file)
    group.values.set(file, formatCpuList(ids))
  }

  /** Lowering it below what is in use reclaims what can be, and then kills: there is no refusal. */
  #setMemory(group: FakeGroup, value: string): void {
    const pages = toPages(value)
    group.values.set('memory.max', pages)
    if (pages === 'max') return
    for (const each of this.#subtree(group)) {
      each.memory.cache = 0
      if (each.memory.used <= Number(pages)) continue
      each.oomKills += each.processes.size
      for (const pid of each.processes) this.end(pid)
      each.memory.used = 0
    }
  }
}

function toPages(value: string): string {
  if (value === 'max') return value
  if (!/^\d+$/.test(value)) throw errno('EINVAL', value)
  return `${Math.floor(Number(value) / PAGE) * PAGE}`
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
