/**
 * CPU, memory and cpuset limits of tasks and of their workers, by control groups.
 *
 * A task has a group, and each of its workers one inside it. A **task's limit is the task's total**: what its workers,
 * now and later, use together. So
 * - `service_state[task]` is what the node has allotted to a service, whatever the number of its workers: a scheduler
 *   that adds a worker moves no other task's share;
 * - a task of three workers can be held at any limit up to the whole machine, which three limits, each of the same
 *   height, could not hold;
 * - the only worker of a task gets exactly the task's limit.
 *
 * Setting a field of a task sets it for all its workers: one set on a worker before ends there. A worker can be given
 * less than its task afterwards, never more (BAD_LIMIT). A worker reads as the lower of its own limit and its task's:
 * the most it may use.
 */
import { EdgeInferError } from '../../errors.js'
import { readCapacity } from './capacity.js'
import { openCgroupV1 } from './cgroup-v1.js'
import { openCgroupV2, outsideServerLeaf } from './cgroup-v2.js'
import { ADVICE } from './cgroup-files.js'
import { bandwidthOf, fractionOfBandwidth, fractionOfBytes, sameBytes } from './units.js'
import type { CgroupDriver, CpusetKind, KernelWrite } from './driver.js'
import { errnoOf, kernelFiles, type KernelFiles } from './kernel-files.js'
import { locateGroups } from './mounts.js'
import { noCgroup } from './no-cgroup.js'
import { removeGroup } from './remove-group.js'
import {
  CONTROLLERS, type Controller, type GroupStats, type LimitReading, type NodeCapacity, type ResourceLimits,
} from './resources.js'
import { isServerGroup, newServerGroup, removeLeftovers, type Leftovers } from './server-group.js'
import { writeAll } from './transaction.js'

/** Measured: see `docs/limits-measurements.md`. */
export const DEFAULT_CPU_PERIOD_MICROSECONDS = 20_000

/** A memory limit leaves a worker this much above what it uses: the working buffers of its next request. */
export const MEMORY_MARGIN_BYTES = 16 * 1024 * 1024

export interface LimitsOptions {
  /** CFS period, 1,000 to 1,000,000; shorter is better for the tail latency, longer is exacter. */
  cpuPeriodMicroseconds?: number
  /** The kernel's file trees; the real ones by default. */
  files?: KernelFiles
}

/** Takes the place of a server among the control groups, and removes what crashed servers left there. */
export async function openLimits(options: LimitsOptions = {}): Promise<LimitsBackend> {
  const { files = kernelFiles, cpuPeriodMicroseconds = DEFAULT_CPU_PERIOD_MICROSECONDS } = options
  const serverGroup = newServerGroup(files)
  const driver = openDriver(files, serverGroup)
  const leftovers = await removeLeftovers(files, driver)
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
  readonly #files: KernelFiles
  readonly #driver: CgroupDriver
  readonly #period: number

  constructor(
    files: KernelFiles, driver: CgroupDriver, serverGroup: string, period: number, leftovers: Leftovers,
  ) {
    this.mode = driver.mode
    this.serverGroup = serverGroup
    this.capacity = readCapacity(files, driver.allowance())
    this.leftovers = leftovers
    this.#files = files
    this.#driver = driver
    this.#period = period
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
    const context = {
      files: this.#files, driver: this.#driver, capacity: this.capacity, period: this.#period,
    }
    return new TaskGroup(context, `${this.serverGroup}/${checkedName(task)}`)
  }

  /** Removes every group of this server. Kills what still runs in them. */
  async close(): Promise<void> {
    for (const task of this.#driver.subgroups(this.serverGroup)) {
      if (NAME.test(task)) await removeGroup(this.#driver, `${this.serverGroup}/${task}`)
    }
    if (this.#driver.leave(this.serverGroup)) await removeGroup(this.#driver, this.serverGroup)
  }
}

interface Context {
  files: KernelFiles
  driver: CgroupDriver
  capacity: NodeCapacity
  period: number
}

/** What task and worker groups have in common. */
abstract class Group {
  readonly path: string
  protected readonly context: Context

  constructor(context: Context, path: string) {
    this.context = context
    this.path = path
    try {
      context.driver.create(path)
    } catch (error) {
      const message = `Expected to make the control group ${path} but the kernel answered ${errnoOf(error)}`
      throw new EdgeInferError('CGROUP_UNAVAILABLE', message, { cause: error })
    }
  }

  /** The limits that hold now, read from the kernel. */
  abstract read(): LimitReading

  /** Counters of the kernel since the group was made. */
  stats(): GroupStats {
    return this.context.driver.stats(this.path)
  }

  /** Kills what still runs in the group, and removes it. */
  async remove(): Promise<void> {
    await removeGroup(this.context.driver, this.path)
  }

  protected readOwn(): LimitReading {
    const { driver, capacity } = this.context
    const { cpu, memory, cpuset } = driver.missing
    return {
      cpuUtilLimit: cpu ? 1 : fractionOfBandwidth(driver.readCpu(this.path), capacity),
      memUtilLimit: memory ? 1 : fractionOfBytes(driver.readMemory(this.path), capacity),
      cpuSetCpus: cpuset ? capacity.cpus : driver.readCpuset(this.path, 'cpus'),
      cpuSetMems: cpuset ? capacity.memoryNodes : driver.readCpuset(this.path, 'mems'),
    }
  }

  /** @throws EdgeInferError CGROUP_UNAVAILABLE, LIMIT_TOO_LOW */
  protected async write(limits: ResourceLimits, children: readonly string[]): Promise<void> {
    await writeAll(this.context.files, this.#plan(limits, children))
  }

  #plan(limits: ResourceLimits, children: readonly string[]): KernelWrite[] {
    const { driver, capacity, period } = this.context
    const { cpuUtilLimit, memUtilLimit, cpuSetCpus, cpuSetMems } = limits
    const writes: KernelWrite[] = []
    if (cpuUtilLimit !== undefined) {
      this.#require('cpu')
      writes.push(...driver.planCpu(this.path, children, bandwidthOf(cpuUtilLimit, capacity, period)))
    }
    if (cpuSetCpus) writes.push(...this.#planCpuset(children, 'cpus', cpuSetCpus))
    if (cpuSetMems) writes.push(...this.#planCpuset(children, 'mems', cpuSetMems))
    // Last, since it is the one the kernel refuses.
    if (memUtilLimit !== undefined) writes.push(...this.#planMemory(children, memUtilLimit))
    return writes
  }

  #planMemory(children: readonly string[], limit: number): KernelWrite[] {
    this.#require('memory')
    const { driver, capacity } = this.context
    const now = driver.readMemory(this.path)
    const asked = limit === 1 ? Infinity : Math.floor(limit * capacity.memoryBytes)
    const bytes = sameBytes(asked, now) ? now : asked
    if (bytes < now) this.#requireRoom(limit, bytes)
    return driver.planMemory(this.path, children, bytes)
  }

  #requireRoom(limit: number, limitBytes: number): void {
    const { driver, capacity } = this.context
    const usedBytes = driver.memoryInUse(this.path)
    const leastBytes = usedBytes + MEMORY_MARGIN_BYTES
    if (limitBytes >= leastBytes) return
    const least = Math.ceil(leastBytes / capacity.memoryBytes * 1e4) / 1e4
    throw new EdgeInferError(
      'LIMIT_TOO_LOW',
      `Expected a memory limit of at least ${least} (${mebibytes(usedBytes)} in use and a margin of ` +
      `${mebibytes(MEMORY_MARGIN_BYTES)}, of ${mebibytes(capacity.memoryBytes)}) but received ${limit} ` +
      `(${mebibytes(limitBytes)})`,
      { details: { limit, least, limitBytes, usedBytes, marginBytes: MEMORY_MARGIN_BYTES, totalBytes: capacity.memoryBytes } },
    )
  }

  #planCpuset(children: readonly string[], kind: CpusetKind, ids: readonly number[]): KernelWrite[] {
    this.#require('cpuset')
    return this.context.driver.planCpuset(this.path, children, kind, ids)
  }

  #require(controller: Controller): void {
    const reason = this.context.driver.missing[controller]
    if (reason === undefined) return
    throw new EdgeInferError('CGROUP_UNAVAILABLE', `The ${controller} limit cannot be set: ${reason}`)
  }
}

export class TaskGroup extends Group {
  #queue: Promise<unknown> = Promise.resolve()

  /** A group for a worker of this task, under the task's limits from the start. */
  createWorkerGroup(worker: string): WorkerGroup {
    return new WorkerGroup(this.context, this, `${this.path}/${checkedName(worker)}`)
  }

  /**
   * Sets the fields given: the task's total, and nothing of its own for any of its workers. All of them or, where the
   * kernel refuses one, none. Where nothing changes nothing is written.
   * @throws EdgeInferError CGROUP_UNAVAILABLE, LIMIT_TOO_LOW
   */
  async apply(limits: ResourceLimits): Promise<void> {
    await this.inTurn(() => this.write(limits, this.#workers()))
  }

  read(): LimitReading {
    return this.readOwn()
  }

  /** Runs a step when every earlier change of the task and of its workers is done. */
  async inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(step)
    this.#queue = turn.catch(() => {})
    await turn
  }

  #workers(): string[] {
    return this.context.driver.subgroups(this.path).map((worker) => `${this.path}/${worker}`)
  }
}

export class WorkerGroup extends Group {
  readonly #task: TaskGroup

  constructor(context: Context, task: TaskGroup, path: string) {
    super(context, path)
    this.#task = task
  }

  /**
   * Puts a process into the group. Memory a process uses already stays where it was charged: to be done right after
   * the spawn, before the model is loaded.
   */
  enter(pid: number): void {
    try {
      this.context.driver.enter(this.path, pid)
    } catch (error) {
      const message = `Expected process ${pid} to enter its control group but the kernel answered ${errnoOf(error)}`
      throw new EdgeInferError('WORKER_DIED', message, { cause: error })
    }
  }

  /**
   * Sets the fields given for this worker, all of them or none. Where nothing changes nothing is written.
   * @throws EdgeInferError BAD_LIMIT above the task's limit, CGROUP_UNAVAILABLE, LIMIT_TOO_LOW
   */
  async apply(limits: ResourceLimits): Promise<void> {
    await this.#task.inTurn(async () => {
      requireWithin(limits, this.#task.read())
      return this.write(limits, [])
    })
  }

  override async remove(): Promise<void> {
    await this.#task.inTurn(() => super.remove())
  }

  read(): LimitReading {
    const [own, task] = [this.readOwn(), this.#task.read()]
    return {
      ...own,
      cpuUtilLimit: Math.min(own.cpuUtilLimit, task.cpuUtilLimit),
      memUtilLimit: Math.min(own.memUtilLimit, task.memUtilLimit),
    }
  }
}

function requireWithin(limits: ResourceLimits, task: LimitReading): void {
  const advice = 'raise the limit of the task first'
  for (const key of ['cpuUtilLimit', 'memUtilLimit'] as const) {
    const [value, most] = [limits[key], task[key]]
    if (value !== undefined && value > most && most < 1) {
      throw new EdgeInferError('BAD_LIMIT', `Expected ${WIRE[key]} of at most ${most}, the task's own, but received ${value}: ${advice}`)
    }
  }
  for (const key of ['cpuSetCpus', 'cpuSetMems'] as const) {
    const outside = limits[key]?.filter((id) => !task[key].includes(id)) ?? []
    if (outside.length > 0) {
      throw new EdgeInferError(
        'BAD_LIMIT', `Expected ${WIRE[key]} out of the task's own ${JSON.stringify(task[key])} but received ${outside}: ${advice}`,
      )
    }
  }
}

/** The fields' names in the interface, for messages. */
const WIRE = {
  cpuUtilLimit: 'cpu_util_limit', memUtilLimit: 'mem_util_limit', cpuSetCpus: 'cpu_set_cpus', cpuSetMems: 'cpu_set_mems',
} as const

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/

function checkedName(name: string): string {
  if (NAME.test(name)) return name
  throw new EdgeInferError('BAD_OPTION', `Expected a group name of letters, digits, - and _ but received ${JSON.stringify(name)}`)
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
