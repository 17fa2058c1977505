/** Between the interface's fractions and the kernel's microseconds and bytes. */
import type { CpuBandwidth } from './driver.js'
import { MAX_PERIOD_MICROSECONDS, MIN_QUOTA_MICROSECONDS, type NodeCapacity } from './resources.js'

/** Kernels round a memory limit to a page, which is at most this. */
const LARGEST_PAGE_BYTES = 64 * 1024

/**
 * `quota = limit × cores × period`. A limit so low that the quota would be below the kernel's least gets a longer
 * period; 1 is no quota: exact, and without the cost of accounting for one.
 */
export function bandwidthOf(limit: number, { cores }: NodeCapacity, period: number): CpuBandwidth {
  if (limit === 1) return { quota: undefined, period }
  const share = limit * cores
  const longEnough = Math.min(Math.max(period, Math.ceil(MIN_QUOTA_MICROSECONDS / share)), MAX_PERIOD_MICROSECONDS)
  return { quota: Math.max(Math.round(share * longEnough), MIN_QUOTA_MICROSECONDS), period: longEnough }
}

export function fractionOfBandwidth({ quota, period }: CpuBandwidth, { cores }: NodeCapacity): number {
  return quota === undefined ? 1 : rounded(quota / period / cores)
}

export function fractionOfBytes(bytes: number, { memoryBytes }: NodeCapacity): number {
  return bytes === Infinity ? 1 : rounded(bytes / memoryBytes)
}

/** Whether a limit of `a` bytes is one of `b` bytes to the kernel. */
export function sameBytes(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) < LARGEST_PAGE_BYTES
}

/** The kernel's own steps are finer than four digits, so that a limit reads as it was set. */
function rounded(fraction: number): number {
  return Math.min(1, Number(fraction.toPrecision(4)))
}
