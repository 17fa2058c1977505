/**
 * What can be limited, in the interface's units. Utilisations are fractions of what this node may use: all its cores,
 * all its memory.
 */

export interface ResourceLimits {
  /** (0, 1] of all cores. */
  cpuUtilLimit?: number
  /** (0, 1] of total memory. */
  memUtilLimit?: number
  cpuSetCpus?: readonly number[]
  cpuSetMems?: readonly number[]
}

/** What holds now. 1 is "no limit"; the lists are what the kernel really allows. */
export type LimitReading = Required<ResourceLimits>

export type UtilLimits = Pick<LimitReading, 'cpuUtilLimit' | 'memUtilLimit'>

/** What this process and its workers may use: the machine, or the container's part of it. */
export interface NodeCapacity {
  /** Cores; a fraction where a container has a CPU quota. */
  cores: number
  memoryBytes: number
  /** Ids of the cpus and the memory nodes. */
  cpus: readonly number[]
  memoryNodes: readonly number[]
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

export const CONTROLLERS = ['cpu', 'memory', 'cpuset'] as const
export type Controller = (typeof CONTROLLERS)[number]

/** Microseconds the kernel accepts for a CFS quota (least) and period (most). */
export const MIN_QUOTA_MICROSECONDS = 1_000
export const MAX_PERIOD_MICROSECONDS = 1_000_000

/** The least `cpuUtilLimit` the kernel can hold on that many cores. */
export function leastCpuUtilLimit(cores: number): number {
  return MIN_QUOTA_MICROSECONDS / MAX_PERIOD_MICROSECONDS / cores
}
