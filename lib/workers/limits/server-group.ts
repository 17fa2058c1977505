/**
 * The name of a server's group says who owns it, `edge-infer.<pid namespace>.<pid>.<start time>.<random>`, so that a
 * later server can tell a group in use from one that a crash left behind. A pid alone does not: it is used again.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeInferError } from '../../errors.js'
import type { CgroupDriver } from '../../host/cgroup/index.js'
import { errnoOf, type HostFiles } from '../../host/host-files.js'

/** A process of many gigabytes takes its time to die. */
const REMOVAL_TIMEOUT_MS = 10_000

const NAME = /^edge-infer\.(\d+)\.(\d+)\.(\d+)\.[0-9a-f]+$/

export function newServerGroup(files: HostFiles): string {
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
export async function removeLeftovers(files: HostFiles, driver: CgroupDriver): Promise<Leftovers> {
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

function isLeftover(files: HostFiles, name: string): boolean {
  const [, namespace, pid, start] = NAME.exec(name) ?? []
  return pid !== undefined && namespace === pidNamespace(files) && startTime(files, Number(pid)) !== start
}

/** `pid:[4026531836]` → `4026531836`. */
function pidNamespace(files: HostFiles): string {
  return files.readLink('/proc/self/ns/pid').replace(/\D/g, '')
}

/** Clock ticks from boot to the start of a process that runs (proc_pid_stat(5): field 22); `''` where none does. */
function startTime(files: HostFiles, pid: number): string {
  const stat = files.text(`/proc/${pid}/stat`) ?? ''
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? '' : fields[18] ?? ''
}

/** Kills what runs in the group and in those below it, and removes them all. */
export async function removeGroup(driver: CgroupDriver, group: string): Promise<void> {
  for (const child of driver.subgroups(group)) await removeGroup(driver, `${group}/${child}`)
  const deadline = Date.now() + REMOVAL_TIMEOUT_MS
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      driver.killProcesses(group)
      driver.removeDirectory(group)
      return
    } catch (error) {
      if (!['EBUSY', 'ENOENT', 'ENODEV'].includes(errnoOf(error)) || Date.now() > deadline) {
        const message = `Expected to remove the control group ${group} but the kernel answered ${errnoOf(error)}`
        throw new EdgeInferError('INTERNAL', message, { cause: error, details: { processes: driver.processes(group) } })
      }
    }
    await sleep(pause)
  }
}
