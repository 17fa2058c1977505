/** Control groups: the only files that read or write them. */
import type { HostFiles } from '../host-files.js'
import type { CgroupDriver, ControllerNeed } from './driver.js'
import { ADVICE } from './group-files.js'
import { locateGroups } from './location.js'
import { isControlledByV1, openCgroupV1 } from './v1.js'
import { openCgroupV2, outsideServerLeaf } from './v2.js'

export type { CgroupDriver, ControllerFiles, ControllerNeed, GroupStats, KernelWrite } from './driver.js'
export { formatCpuList, parseCpuList } from './cpu-list.js'

export interface OpenOptions {
  /** Name of the group to make below this process's own. */
  serverGroup: string
  /** Whether a group of that name is a server's. */
  isServerGroup: (name: string) => boolean
  needs: readonly ControllerNeed[]
  /** Ids of the CPUs that processes of the group may use. */
  cpus: readonly number[]
}

/** Makes a server's group. v1 where a controller is mounted so: on a hybrid machine the v2 tree lacks it. */
export function openControlGroups(files: HostFiles, options: OpenOptions): CgroupDriver {
  const { serverGroup, isServerGroup, needs, cpus } = options
  const { v1, v2 } = locateGroups(files)
  let driver: CgroupDriver | undefined
  if (needs.some((need) => isControlledByV1(need, v1))) driver = openCgroupV1(files, v1, serverGroup, needs, cpus)
  else if (v2?.visible) driver = openCgroupV2(files, outsideServerLeaf(v2, isServerGroup), serverGroup, needs, cpus)
  if (!driver) return noControlGroups(needs, `No control groups are mounted. ${ADVICE}`)
  const { missing } = driver
  if (needs.some(({ controller }) => missing[controller] === undefined)) return driver
  driver.removeDirectory(serverGroup)
  return noControlGroups(needs, [...new Set(Object.values(missing))].join('; '))
}

/** The driver where there is no control group at all: nothing is limited, and nothing can be. */
function noControlGroups(needs: readonly ControllerNeed[], reason: string): CgroupDriver {
  return {
    mode: 'none',
    missing: Object.fromEntries(needs.map(({ controller }) => [controller, reason])),
    files: () => { throw new Error(reason) },
    create: () => {},
    removeDirectory: () => {},
    subgroups: () => [],
    processes: () => [],
    enter: () => {},
    killProcesses: () => {},
    leave: () => true,
    planCpuPriority: () => [],
    stats: () => ({}),
  }
}
