import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeInferError } from '../../errors.js'
import type { CgroupDriver } from './driver.js'
import { errnoOf } from './kernel-files.js'

/** A process of many gigabytes takes its time to die. */
const PATIENCE_MILLISECONDS = 10_000

/** Kills what runs in the group and in those below it, and removes them all. */
export async function removeGroup(driver: CgroupDriver, group: string): Promise<void> {
  for (const child of driver.subgroups(group)) await removeGroup(driver, `${group}/${child}`)
  const deadline = Date.now() + PATIENCE_MILLISECONDS
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
