/** `proc_resource_info`: what a task cost the worker that ran it, and what it was granted. */
import type { NodeCapacity } from '../host/index.js'
import { NO_LIMITS, toWire } from '../workers/limits/index.js'
import type { ProcResourceInfo } from '../workers/resource-info.js'
import type { JobRun, EffectiveLimits } from '../workers/types.js'

/** What is the same for all workers of a request. */
export interface ReplyFacts {
  /** Seconds from the last byte of the request to the first of the reply. */
  allLatency: number
  deviceIp: string
}

/** One entry a worker, the slowest first. */
export function resourceInfoList(
  runs: readonly JobRun[], capacity: NodeCapacity, facts: ReplyFacts,
): ProcResourceInfo[] {
  return mergeByWorker(runs)
    .map((run) => resourceInfo(run, capacity, facts))
    .sort((a, b) => b.compute_latency - a.compute_latency)
}

/** Callers do arithmetic on these without looking: what is not known is 0. */
export function unknownResourceInfo(limits: EffectiveLimits | undefined, facts: ReplyFacts): ProcResourceInfo {
  return {
    ...toWire(limits ?? NO_LIMITS),
    cpu_util_use: 0,
    mem_util_use: 0,
    compute_latency: 0,
    latency: 0,
    pid: 0,
    all_latency: facts.allLatency,
    device_ip: facts.deviceIp,
  }
}

function resourceInfo(run: WorkerRun, { cores, memoryBytes }: NodeCapacity, facts: ReplyFacts): ProcResourceInfo {
  return {
    ...toWire(run.limits),
    cpu_util_use: run.wallSeconds > 0 ? run.cpuSeconds / run.wallSeconds / cores : 0,
    mem_util_use: memoryBytes > 0 ? run.rssBytes / memoryBytes : 0,
    compute_latency: run.wallSeconds,
    latency: run.wallSeconds,
    pid: run.pid,
    all_latency: facts.allLatency,
    device_ip: facts.deviceIp,
  }
}

interface WorkerRun {
  pid: number
  limits: EffectiveLimits
  wallSeconds: number
  cpuSeconds: number
  rssBytes: number
}

function mergeByWorker(runs: readonly JobRun[]): WorkerRun[] {
  const merged = new Map<number, WorkerRun>()
  for (const { pid, limits, usage } of runs) {
    const earlier = merged.get(pid)
    merged.set(pid, {
      pid,
      limits,
      wallSeconds: usage.wallSeconds + (earlier?.wallSeconds ?? 0),
      cpuSeconds: usage.cpuSeconds + (earlier?.cpuSeconds ?? 0),
      rssBytes: Math.max(usage.rssBytes, earlier?.rssBytes ?? 0),
    })
  }
  return [...merged.values()]
}
