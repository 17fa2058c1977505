import type { CgroupDriver } from './driver.js'
import { CONTROLLERS } from './resources.js'

/** The driver where there is no control group at all: nothing is limited, and nothing can be. */
export function noCgroup(reason: string): CgroupDriver {
  const unavailable = (): never => { throw new Error(reason) }
  return {
    mode: 'none',
    missing: Object.fromEntries(CONTROLLERS.map((controller) => [controller, reason])),
    allowance: () => ({}),
    create: () => {},
    removeDirectory: () => {},
    subgroups: () => [],
    processes: () => [],
    enter: () => {},
    killProcesses: () => {},
    leave: () => true,
    readCpu: unavailable,
    planCpu: unavailable,
    readMemory: unavailable,
    planMemory: unavailable,
    memoryInUse: unavailable,
    readCpuset: unavailable,
    planCpuset: unavailable,
    stats: () => ({}),
  }
}
