/** CPU, memory and cpuset limits by control groups: a server's place among them. */
import { readCapacity } from './capacity.js'
import { openCgroupV1 } from './cgroup-v1.js'
import { openCgroupV2, outsideServerLeaf } from './cgroup-v2.js'
import { ADVICE } from './cgroup-files.js'
import type { CgroupDriver } from './driver.js'
import { isTaskGroup, TaskGroup, type GroupContext } from './groups.js'
import { kernelFiles, type KernelFiles } from './kernel-files.js'
import { locateGroups } from './mounts.js'
import { noCgroup } from './no-cgroup.js'
import { removeGroup } from './remove-group.js'
import { CONTROLLERS, type Controller, type NodeCapacity } from './resources.js'
import { isServerGroup, newServerGroup, removeLeftovers, type Leftovers } from './server-group.js'

/** Measured: see `docs/engineering/cpu-limits.md`. */
export const DEFAULT_CPU_PERIOD_MICROSECONDS = 10_000

export interface LimitsOptions {
  /** CFS period, 1,000 to 1,000,000. */
  cpuPeriodMicroseconds?: number
  /** Remove what crashed servers left behind; true unless said otherwise. */
  removeLeftovers?: boolean
  /** The kernel's file trees; the real ones by default. */
  files?: KernelFiles
}

/** Takes the place of a server among the control groups, and removes what crashed servers left there. */
export async function openLimits(options: LimitsOptions = {}): Promise<LimitsBackend> {
  const { files = kernelFiles, cpuPeriodMicroseconds = DEFAULT_CPU_PERIOD_MICROSECONDS } = options
  const serverGroup = newServerGroup(files)
  const driver = openDriver(files, serverGroup)
  const leftovers = options.removeLeftovers === false
    ? { removed: [], stuck: [] }
    : await removeLeftovers(files, driver)
  return new LimitsBackend(files, driver, serverGroup, cpuPeriodMicroseconds, leftovers)
}

/** v1 wherever one of the controllers is mounted so: on a hybrid machine the v2 tree then lacks it. */
function openDriver(files: KernelFiles, serverGroup: string): CgroupDriver {
  const { v1, v2 } = locateGroups(files)
  let driver: CgroupDriver | undefined
  if (CONTROLLERS.some((controller) => v1.has(controller))) driver = openCgroupV1(files, v1, serverGroup)
  else if (v2) driver = openCgroupV2(files, outsideServerLeaf(v2, isServerGroup), serverGroup)
  if (!driver) return noCgroup(`No control groups are mounted. ${ADVICE}`)
  const { missing } = driver
  if (CONTROLLERS.some((controller) => missing[controller] === undefined)) return driver
  driver.removeDirectory(serverGroup)
  return noCgroup([...new Set(Object.values(missing))].join('; '))
}

export class LimitsBackend {
  readonly mode: 'v1' | 'v2' | 'none'
  /** The server's group, below the group the server was started in. */
  readonly serverGroup: string
  /** Utilisations are fractions of this. */
  readonly capacity: NodeCapacity
  /** The groups of crashed servers found at the start. */
  readonly leftovers: Leftovers
  readonly #driver: CgroupDriver
  readonly #context: GroupContext

  constructor(
    files: KernelFiles, driver: CgroupDriver, serverGroup: string, period: number, leftovers: Leftovers,
  ) {
    this.mode = driver.mode
    this.serverGroup = serverGroup
    this.capacity = readCapacity(files, driver.allowance())
    this.leftovers = leftovers
    this.#driver = driver
    this.#context = { files, driver, capacity: this.capacity, period }
  }

  /** Whether anything can be limited. */
  get available(): boolean {
    return this.mode !== 'none'
  }

  /** For each controller that cannot be used, why, and what to do about it. */
  get missing(): Readonly<Partial<Record<Controller, string>>> {
    return this.#driver.missing
  }

  /** What is missing, in one text for people; undefined where nothing is. */
  get reason(): string | undefined {
    const reasons = [...new Set(Object.values(this.missing))]
    return reasons.length === 0 ? undefined : reasons.join('; ')
  }

  createTaskGroup(task: string): TaskGroup {
    return new TaskGroup(this.#context, this.serverGroup, task)
  }

  /** Removes every group of this server. Kills what still runs in them. */
  async close(): Promise<void> {
    for (const task of this.#driver.subgroups(this.serverGroup)) {
      if (isTaskGroup(task)) await removeGroup(this.#driver, `${this.serverGroup}/${task}`)
    }
    if (this.#driver.leave(this.serverGroup)) await removeGroup(this.#driver, this.serverGroup)
  }
}
