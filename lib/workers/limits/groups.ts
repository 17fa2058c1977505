/**
 * The groups of tasks and of their workers, and what a limit means in them.
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
import type { CgroupDriver, CpusetKind, KernelWrite } from './driver.js'
import { errnoOf, type KernelFiles } from './kernel-files.js'
import { removeGroup } from './remove-group.js'
import type { Controller, GroupStats, LimitReading, NodeCapacity, ResourceLimits, UtilLimits } from './resources.js'
import { writeAll } from './transaction.js'
import { bandwidthOf, fractionOfBandwidth, fractionOfBytes, sameBytes } from './units.js'

/** A memory limit leaves a worker this much above what it uses: the working buffers of its next request. */
export const MEMORY_MARGIN_BYTES = 16 * 1024 * 1024

/** What every group of a server shares. */
export interface GroupContext {
  files: KernelFiles
  driver: CgroupDriver
  capacity: NodeCapacity
  /** CFS period, microseconds. */
  period: number
}

/** What task and worker groups have in common. */
abstract class Group {
  readonly path: string
  protected readonly context: GroupContext

  constructor(context: GroupContext, parent: string, name: string) {
    this.context = context
    this.path = `${parent}/${checkedName(name)}`
    try {
      context.driver.create(this.path)
    } catch (error) {
      const message = `Expected to make the control group ${this.path} but the kernel answered ${errnoOf(error)}`
      throw new EdgeInferError('CGROUP_UNAVAILABLE', message, { cause: error })
    }
  }

  /** The limits that hold now, read from the kernel. */
  abstract read(): LimitReading

  /** Of those, what the interface reports. */
  abstract readUtil(): UtilLimits

  /** Counters of the kernel since the group was made. */
  stats(): GroupStats {
    return this.context.driver.stats(this.path)
  }

  /** Kills what still runs in the group, and removes it. */
  async remove(): Promise<void> {
    await removeGroup(this.context.driver, this.path)
  }

  protected readOwnUtil(): UtilLimits {
    const { driver, capacity } = this.context
    const { cpu, memory } = driver.missing
    return {
      cpuUtilLimit: cpu ? 1 : fractionOfBandwidth(driver.readCpu(this.path), capacity),
      memUtilLimit: memory ? 1 : fractionOfBytes(driver.readMemory(this.path), capacity),
    }
  }

  protected readOwn(): LimitReading {
    const { driver, capacity } = this.context
    const { cpuset } = driver.missing
    return {
      ...this.readOwnUtil(),
      cpuSetCpus: cpuset ? capacity.cpus : driver.readCpuset(this.path, 'cpus'),
      cpuSetMems: cpuset ? capacity.memoryNodes : driver.readCpuset(this.path, 'mems'),
    }
  }

  /** Gives whether there was anything to write. @throws EdgeInferError CGROUP_UNAVAILABLE, LIMIT_TOO_LOW */
  protected async write(limits: ResourceLimits, children: readonly string[]): Promise<boolean> {
    const writes = this.#plan(limits, children)
    if (writes.length > 0) await writeAll(this.context.files, writes)
    return writes.length > 0
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
    const message = `Expected a memory limit of at least ${least} (${mebibytes(usedBytes)} in use and a margin of ` +
      `${mebibytes(MEMORY_MARGIN_BYTES)}, of ${mebibytes(capacity.memoryBytes)}) but received ${limit} ` +
      `(${mebibytes(limitBytes)})`
    const totalBytes = capacity.memoryBytes
    throw new EdgeInferError('LIMIT_TOO_LOW', message, {
      details: { limit, least, limitBytes, usedBytes, marginBytes: MEMORY_MARGIN_BYTES, totalBytes },
    })
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
  readonly #workers = new Set<string>()
  #queue: Promise<unknown> = Promise.resolve()

  /** A group for a worker of this task, under the task's limits from the start. */
  createWorkerGroup(worker: string): WorkerGroup {
    const group = new WorkerGroup(this.context, this, worker, () => this.#workers.delete(group.path))
    this.#workers.add(group.path)
    return group
  }

  /**
   * Sets the fields given: the task's total, and nothing of its own for any of its workers. All of them or, where the
   * kernel refuses one, none. Where nothing changes nothing is written, and the answer is false.
   * @throws EdgeInferError CGROUP_UNAVAILABLE, LIMIT_TOO_LOW
   */
  async apply(limits: ResourceLimits): Promise<boolean> {
    return this.inTurn(() => this.write(limits, [...this.#workers]))
  }

  read(): LimitReading {
    return this.readOwn()
  }

  readUtil(): UtilLimits {
    return this.readOwnUtil()
  }

  /** Runs a step when every earlier change of the task and of its workers is done. */
  async inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(step)
    this.#queue = turn.catch(() => {})
    return turn
  }
}

export class WorkerGroup extends Group {
  readonly #task: TaskGroup
  readonly #onRemoved: () => void

  constructor(context: GroupContext, task: TaskGroup, name: string, onRemoved: () => void) {
    super(context, task.path, name)
    this.#task = task
    this.#onRemoved = onRemoved
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
   * Sets the fields given for this worker, all of them or none. Where nothing changes nothing is written, and the
   * answer is false.
   * @throws EdgeInferError BAD_LIMIT above the task's limit, CGROUP_UNAVAILABLE, LIMIT_TOO_LOW
   */
  async apply(limits: ResourceLimits): Promise<boolean> {
    return this.#task.inTurn(async () => {
      requireWithin(limits, this.#task.read())
      return this.write(limits, [])
    })
  }

  /** What this worker is held to below its task's limits. */
  own(): ResourceLimits {
    return below(this.readOwn(), this.#task.read())
  }

  /** Sets what another worker of the task was held to, as far as it is still below the task's limits. */
  async inherit(limits: ResourceLimits): Promise<void> {
    await this.#task.inTurn(() => this.write(below(limits, this.#task.read()), []))
  }

  override async remove(): Promise<void> {
    await this.#task.inTurn(async () => {
      await super.remove()
      this.#onRemoved()
    })
  }

  read(): LimitReading {
    return { ...this.readOwn(), ...this.readUtil() }
  }

  readUtil(): UtilLimits {
    const [own, task] = [this.readOwnUtil(), this.#task.readUtil()]
    return {
      cpuUtilLimit: Math.min(own.cpuUtilLimit, task.cpuUtilLimit),
      memUtilLimit: Math.min(own.memUtilLimit, task.memUtilLimit),
    }
  }
}

/** Those of the limits that are lower than the task's. */
function below(limits: ResourceLimits, task: LimitReading): ResourceLimits {
  const lower: ResourceLimits = {}
  for (const key of ['cpuUtilLimit', 'memUtilLimit'] as const) {
    const value = limits[key]
    if (value !== undefined && value < task[key]) lower[key] = value
  }
  for (const key of ['cpuSetCpus', 'cpuSetMems'] as const) {
    const ids = limits[key]?.filter((id) => task[key].includes(id)) ?? []
    if (ids.length > 0 && ids.length < task[key].length) lower[key] = ids
  }
  return lower
}

function requireWithin(limits: ResourceLimits, task: LimitReading): void {
  const refuse = (expected: string, received: unknown): never => {
    const message = `Expected ${expected} but received ${received}: raise the limit of the task first`
    throw new EdgeInferError('BAD_LIMIT', message)
  }
  for (const key of ['cpuUtilLimit', 'memUtilLimit'] as const) {
    const value = limits[key]
    if (value !== undefined && value > task[key]) refuse(`${WIRE[key]} of at most ${task[key]}, the task's own,`, value)
  }
  for (const key of ['cpuSetCpus', 'cpuSetMems'] as const) {
    const outside = limits[key]?.filter((id) => !task[key].includes(id)) ?? []
    if (outside.length > 0) refuse(`${WIRE[key]} out of the task's own ${JSON.stringify(task[key])}`, outside)
  }
}

/** The fields' names in the interface, for messages. */
const WIRE = {
  cpuUtilLimit: 'cpu_util_limit',
  memUtilLimit: 'mem_util_limit',
  cpuSetCpus: 'cpu_set_cpus',
  cpuSetMems: 'cpu_set_mems',
} as const

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/

export function isTaskGroup(name: string): boolean {
  return NAME.test(name)
}

function checkedName(name: string): string {
  if (NAME.test(name)) return name
  const message = `Expected a group name of letters, digits, - and _ but received ${JSON.stringify(name)}`
  throw new EdgeInferError('BAD_OPTION', message)
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
