/** Memory, swap included: what does not fit is not paged out at the cost of every request. */
import type { ControllerFiles, KernelWrite } from '../../../host/cgroup/driver.js'
import { AT_MOST, defineResource, roundedShare } from '../resource.js'

/** A memory limit leaves a worker this much above what it uses: the working buffers of its next request. */
export const MEMORY_MARGIN_BYTES = 16 * 1024 * 1024

/** Kernels round a memory limit to a page, which is at most this. */
const LARGEST_PAGE_BYTES = 64 * 1024
/** Version 1 answers a number of pages near 2^63 bytes where nothing limits memory. */
const UNLIMITED_BYTES = 2 ** 62
const NO_LIMIT = { v1: '-1', v2: 'max' }
const [BYTES_FILE, WITH_SWAP_FILE] = ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes']

export const memory = defineResource({
  names: ['mem_limit', 'mem_util_limit'],
  reported: { key: 'mem_util_limit', noun: 'Memory', whole: "the machine's" },
  need: { controller: 'memory', v1: [BYTES_FILE], v2: ['memory.max'] },
  schema: { type: 'number', exclusiveMinimum: 0, maximum: 1, description: 'Share of all memory' },
  order: AT_MOST,
  unlimited: () => 1,
  /** Bytes; Infinity is no limit. What is the same limit to the kernel is not written again. */
  toSetting: (limit: number, { capacity }, now): number => {
    const bytes = limit === 1 ? Infinity : Math.floor(limit * capacity.memoryBytes)
    const held = now()
    return Math.abs(bytes - held) < LARGEST_PAGE_BYTES ? held : bytes
  },
  toLimit: (bytes, { memoryBytes }) => bytes === Infinity ? 1 : roundedShare(bytes / memoryBytes),
  tooLow: (files, limit, limitBytes, { memoryBytes: totalBytes }) => {
    if (limitBytes >= bytesOf(files)) return undefined
    const usedBytes = bytesInUse(files)
    const minBytes = usedBytes + MEMORY_MARGIN_BYTES
    if (limitBytes >= minBytes) return undefined
    const least = Math.ceil(minBytes / totalBytes * 1e4) / 1e4
    return {
      expected: `a memory limit of at least ${least} (${mebibytes(usedBytes)} in use and a margin of ` +
        `${mebibytes(MEMORY_MARGIN_BYTES)}, of ${mebibytes(totalBytes)})`,
      received: `${limit} (${mebibytes(limitBytes)})`,
      details: { limit, least, limitBytes, usedBytes, marginBytes: MEMORY_MARGIN_BYTES, totalBytes },
    }
  },
  v1: {
    read: bytesOf,
    plan: (files, children, bytes) => [...children.flatMap((one) => planV1(one, Infinity)), ...planV1(files, bytes)],
  },
  v2: {
    read: bytesOf,
    plan: (files, children, bytes) => [...children.flatMap((one) => planV2(one, Infinity)), ...planV2(files, bytes)],
  },
})

/** Infinity where nothing is limited. */
export function bytesOf(files: ControllerFiles): number {
  const text = files.read(files.version === 1 ? BYTES_FILE : 'memory.max')
  return text === NO_LIMIT.v2 || Number(text) >= UNLIMITED_BYTES ? Infinity : Number(text)
}

/** Bytes that cannot be had back by dropping page cache that is not in active use. */
export function bytesInUse(files: ControllerFiles): number {
  const stat = files.figures('memory.stat')
  return files.version === 1
    ? Number(files.read('memory.usage_in_bytes')) - (stat.get('total_inactive_file') ?? 0)
    : Number(files.read('memory.current')) - (stat.get('inactive_file') ?? 0)
}

/** Memory with swap has the same limit, and must never be the lower of the two: it is raised first, lowered last. */
function planV1(files: ControllerFiles, bytes: number): KernelWrite[] {
  const value = Number.isFinite(bytes) ? `${bytes}` : NO_LIMIT.v1
  const plan = (name: string): KernelWrite[] => {
    const previous = files.readOr(name, value)
    const isHeld = Number(previous) >= UNLIMITED_BYTES && value === NO_LIMIT.v1
    return isHeld ? [] : reclaiming(files.plan(name, value, previous))
  }
  const [withoutSwap, withSwap] = [plan(BYTES_FILE), plan(WITH_SWAP_FILE)]
  return bytes > bytesOf(files) ? [...withSwap, ...withoutSwap] : [...withoutSwap, ...withSwap]
}

/** A group with a limit gets no swap at all. */
function planV2(files: ControllerFiles, bytes: number): KernelWrite[] {
  const [max, swap] = Number.isFinite(bytes) ? [`${bytes}`, '0'] : [NO_LIMIT.v2, NO_LIMIT.v2]
  return [
    ...reclaiming(files.plan('memory.max', max)),
    ...files.plan('memory.swap.max', swap, files.readOr('memory.swap.max', swap)),
  ]
}

function reclaiming(writes: readonly KernelWrite[]): KernelWrite[] {
  return writes.map((write) => ({ ...write, reclaims: true }))
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
