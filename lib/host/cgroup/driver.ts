/** What the two versions of control groups have in common. Types alone: the dashboard has limits' descriptors, too. */

/** One write, with what the file said before. */
export interface KernelWrite {
  path: string
  value: string
  previous: string
  /** The kernel may reclaim memory before the write returns. */
  reclaims?: boolean
}

/** The files of one controller in one group. */
export interface ControllerFiles {
  readonly version: 1 | 2
  /** The text of a file. */
  read(name: string): string
  /** The text of a file, or `fallback` where this kernel has no such file. */
  readOr(name: string, fallback: string): string
  /** The number after each key of a file of `key value` lines. */
  figures(name: string): ReadonlyMap<string, number>
  /** The write that gives a file a value; none where it has it. */
  plan(name: string, value: string, previous?: string): KernelWrite[]
}

/** A controller by its name in version 2, and files of which a group must have one for it to be of use. */
export interface ControllerNeed {
  controller: string
  v1: readonly string[]
  v2: readonly string[]
}

/** Counters of a group since it was made. Absent where the kernel does not count. */
export interface GroupStats {
  cpuSeconds?: number
  /** CFS periods in which the group ran, and those in which it used up its quota. */
  periods?: number
  throttledPeriods?: number
  throttledSeconds?: number
  memoryBytes?: number
  memoryPeakBytes?: number
  /** Processes of the group killed for want of memory. */
  oomKills?: number
}

/** A group is named by its path below this process's own group, `''` being that one. */
export interface CgroupDriver {
  readonly mode: 'v1' | 'v2' | 'none'
  /** For each controller that cannot be used, by its name in version 2, why, and what to do about it. */
  readonly missing: Readonly<Record<string, string>>

  /** @throws Error for a controller that is missing. */
  files(group: string, controller: string): ControllerFiles
  create(group: string): void
  /** @throws errno EBUSY while processes or groups are in it; a group that is gone already is no error. */
  removeDirectory(group: string): void
  subgroups(group: string): string[]
  /** Pids in the group itself. */
  processes(group: string): number[]
  enter(group: string, pid: number): void
  /** SIGKILL to every process of the group. */
  killProcesses(group: string): void
  /** Takes this process out of the server's group; false where it has to stay until it ends. */
  leave(serverGroup: string): boolean
  /** The most CPU time among all groups and processes beside the group, when they compete for it. */
  planCpuPriority(group: string): KernelWrite[]
  stats(group: string): GroupStats
}
