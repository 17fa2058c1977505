/**
 * The name of a server's group says who owns it, `edge-infer.<pid namespace>.<pid>.<start time>.<random>`, so that a
 * later server can tell a group in use from one that a crash left behind. A pid alone does not: it is used again.
 */
import { randomBytes } from 'node:crypto'
import type { CgroupDriver } from './driver.js'
import { readOr, type KernelFiles } from './kernel-files.js'
import { removeGroup } from './remove-group.js'

const NAME = /^edge-infer\.(\d+)\.(\d+)\.(\d+)\.[0-9a-f]+$/

export function newServerGroup(files: KernelFiles): string {
  const random = randomBytes(4).toString('hex')
  return `edge-infer.${pidNamespace(files)}.${process.pid}.${startTime(files, process.pid)}.${random}`
}

export function isServerGroup(name: string): boolean {
  return NAME.test(name)
}

/** Groups of servers that are gone: those removed, and those that would not go, with the error. */
export interface Leftovers {
  removed: string[]
  stuck: { group: string; error: unknown }[]
}

/**
 * Removes the groups of servers that are gone, with the workers still running in them. Groups of another pid namespace
 * are left alone: whether their owner lives cannot be told from here.
 */
export async function removeLeftovers(files: KernelFiles, driver: CgroupDriver): Promise<Leftovers> {
  const leftovers: Leftovers = { removed: [], stuck: [] }
  for (const group of driver.subgroups('').filter((name) => isLeftover(files, name))) {
    try {
      await removeGroup(driver, group)
      leftovers.removed.push(group)
    } catch (error) {
      leftovers.stuck.push({ group, error })
    }
  }
  return leftovers
}

function isLeftover(files: KernelFiles, name: string): boolean {
  const [, namespace, pid, start] = NAME.exec(name) ?? []
  return pid !== undefined && namespace === pidNamespace(files) && startTime(files, Number(pid)) !== start
}

/** `pid:[4026531836]` → `4026531836`. */
function pidNamespace(files: KernelFiles): string {
  return files.readLink('/proc/self/ns/pid').replace(/\D/g, '')
}

/** Clock ticks from boot to the start of a process that runs (proc_pid_stat(5): field 22); `''` where none does. */
function startTime(files: KernelFiles, pid: number): string {
  const stat = readOr(files, `/proc/${pid}/stat`, '')
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? '' : fields[18] ?? ''
}
