/** What processes used of the machine, between two instants. */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { GroupStats } from '../../workers/limits/index.js'

/** Counters at one instant. */
export interface Sample {
  /** `performance.now()`. */
  at: number
  stats: GroupStats
  /** Milliseconds that all cores of the machine together were idle, since boot. */
  idle: number
}

export interface Usage {
  /** CPU time of the workers, as a share of the cores. */
  cpu: number
  /** Share of the CFS periods in which the quota was used up. */
  throttled: number
  /** Share of the machine that nothing ran on. */
  idle: number
}

const MILLISECONDS_A_TICK = 10

export function takeSample(stats: GroupStats): Sample {
  // See proc_stat(5): user nice system idle iowait …, in ticks.
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/) ?? []
  return { at: performance.now(), stats, idle: (Number(fields[4]) + Number(fields[5])) * MILLISECONDS_A_TICK }
}

/** `cores`: what a share of 1 stands for. */
export function usageBetween(before: Sample, after: Sample, cores: number): Usage {
  const wall = after.at - before.at
  const count = (key: keyof GroupStats): number => (after.stats[key] ?? 0) - (before.stats[key] ?? 0)
  const periods = count('periods')
  return {
    cpu: count('cpuSeconds') * 1000 / (wall * cores),
    throttled: periods > 0 ? count('throttledPeriods') / periods : 0,
    idle: (after.idle - before.idle) / (wall * availableParallelism()),
  }
}
