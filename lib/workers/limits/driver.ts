/** What the two versions of control groups have in common, as the limits need it. */
import type { Controller, GroupStats } from './resources.js'

/** One write, with what the file said before. */
export interface KernelWrite {
  path: string
  value: string
  previous: string
  /** The kernel may reclaim memory before the write returns. */
  reclaims?: boolean
}

/** CFS bandwidth, microseconds; `quota` undefined is no limit. */
export interface CpuBandwidth {
  quota: number | undefined
  period: number
}

export type CpusetKind = 'cpus' | 'mems'

/** What this process's own group and those above it allow; absent where nothing says so. */
export interface Allowance {
  cores?: number
  memoryBytes?: number
  cpus?: number[]
  memoryNodes?: number[]
}

/**
 * A group is named by its path below this process's own group, `''` being that one. The `plan…` functions say what is
 * to be written, in an order the kernel accepts, so that `group` gets the wanted value and no group of `children`
 * has one of its own; nothing is planned where the kernel has it all already.
 */
export interface CgroupDriver {
  readonly mode: 'v1' | 'v2' | 'none'
  /** For each controller that cannot be used, why, and what to do about it. */
  readonly missing: Readonly<Partial<Record<Controller, string>>>

  allowance(): Allowance
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

  readCpu(group: string): CpuBandwidth
  planCpu(group: string, children: readonly string[], wanted: CpuBandwidth): KernelWrite[]
  /** Bytes; Infinity is no limit. */
  readMemory(group: string): number
  planMemory(group: string, children: readonly string[], bytes: number): KernelWrite[]
  /** Bytes that cannot be had back by dropping page cache that is not in active use. */
  memoryInUse(group: string): number
  /** What the kernel allows the group's processes. */
  readCpuset(group: string, kind: CpusetKind): number[]
  planCpuset(group: string, children: readonly string[], kind: CpusetKind, ids: readonly number[]): KernelWrite[]

  stats(group: string): GroupStats
}
