/** CPU, memory and cpuset limits by control groups: a server's place among them. */
import type { NodeCapacity } from '../../host/index.js'
import { openControlGroups, type CgroupDriver } from '../../host/cgroup/index.js'
import { HostFiles } from '../../host/host-files.js'
import { CurrentCapacity } from './current-capacity.js'
import { isTaskGroup, TaskGroup, type GroupContext } from './groups.js'
import { CONTROLLER_NEEDS, type ResourceLimits } from './registry.js'
import { limitsReader } from './schemas.js'
import { isServerGroup, newServerGroup, removeGroup, removeLeftovers, type Leftovers } from './server-group.js'
import { writeAll } from './transaction.js'

/** Measured: see `docs/engineering/cpu-limits.md`. */
export const DEFAULT_CPU_PERIOD_MICROSECONDS = 10_000

export interface LimitsOptions {
  /** CFS period, 1,000 to 1,000,000. */
  cpuPeriodMicroseconds?: number
  /** Remove what crashed servers left behind; true unless said otherwise. */
  removeLeftovers?: boolean
  /** Where `/proc` and `/sys` are found. */
  files?: HostFiles
}

/** Takes the place of a server among the control groups, and removes what crashed servers left there. */
export async function openLimits(options: LimitsOptions = {}): Promise<LimitsBackend> {
  const { files = new HostFiles(), cpuPeriodMicroseconds = DEFAULT_CPU_PERIOD_MICROSECONDS } = options
  const serverGroup = newServerGroup(files)
  // Before this process moves to another group, which may end the affinity it was started with.
  const capacity = new CurrentCapacity(files)
  const { cpus } = capacity.read()
  const driver = openControlGroups(files, { serverGroup, isServerGroup, needs: CONTROLLER_NEEDS, cpus })
  const leftovers = options.removeLeftovers === false
    ? { removed: [], stuck: [] }
    : await removeLeftovers(files, driver)
  return new LimitsBackend({ files, driver, capacity, period: cpuPeriodMicroseconds }, serverGroup, leftovers)
}

export class LimitsBackend {
  readonly mode: 'v1' | 'v2' | 'none'
  /** The server's group, below the group the server was started in. */
  readonly serverGroup: string
  /** The groups of crashed servers found at the start. */
  readonly leftovers: Leftovers
  readonly #driver: CgroupDriver
  readonly #context: GroupContext
  #reader: { capacity: NodeCapacity; parse: ReturnType<typeof limitsReader> } | undefined

  constructor(context: GroupContext, serverGroup: string, leftovers: Leftovers) {
    this.mode = context.driver.mode
    this.serverGroup = serverGroup
    this.leftovers = leftovers
    this.#driver = context.driver
    this.#context = context
  }

  /** Utilisations are fractions of this. */
  get capacity(): NodeCapacity {
    return this.#context.capacity.read()
  }

  /**
   * The limits in the body of a request, other members ignored, for what the node may use at this moment.
   * @throws EdgeInferError BAD_LIMIT
   */
  parse(body: Readonly<Record<string, unknown>>): ResourceLimits {
    const capacity = this.readCapacity()
    if (this.#reader?.capacity !== capacity) this.#reader = { capacity, parse: limitsReader(capacity) }
    return this.#reader.parse(body)
  }

  /** Whether anything can be limited. */
  get available(): boolean {
    return this.mode !== 'none'
  }

  /** For each controller that cannot be used, why, and what to do about it. */
  get missing(): Readonly<Record<string, string>> {
    return this.#driver.missing
  }

  /** What is missing, in one text for people; undefined where nothing is. */
  get reason(): string | undefined {
    const reasons = [...new Set(Object.values(this.missing))]
    return reasons.length === 0 ? undefined : reasons.join('; ')
  }

  /** What it is now, which quotas of the groups above may have changed. */
  readCapacity(): NodeCapacity {
    return this.#context.capacity.read(0)
  }

  createTaskGroup(task: string): TaskGroup {
    return new TaskGroup(this.#context, this.serverGroup, task)
  }

  /** Gives the server's groups the CPU before anything beside them: a measurement then sees the limit alone. */
  async preferOverOthers(): Promise<void> {
    await writeAll(this.#context.files, this.#driver.planCpuPriority(this.serverGroup))
  }

  /** Removes every group of this server. Kills what still runs in them. */
  async close(): Promise<void> {
    for (const task of this.#driver.subgroups(this.serverGroup)) {
      if (isTaskGroup(task)) await removeGroup(this.#driver, `${this.serverGroup}/${task}`)
    }
    if (this.#driver.leave(this.serverGroup)) await removeGroup(this.#driver, this.serverGroup)
  }
}
