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
import { readMemoryInUse } from '../../host/index.js'
import type { CgroupDriver, GroupStats, KernelWrite } from '../../host/cgroup/index.js'
import { errnoOf, type HostFiles } from '../../host/host-files.js'
import type { CurrentCapacity } from './current-capacity.js'
import {
  fromReported, RESOURCE_ROWS, RESOURCES,
  type EffectiveLimits, type LimitsInEffect, type ResourceKey, type ResourceLimits,
} from './registry.js'
import type { Resource } from './resource.js'
import { bytesInUse, bytesOf, mebibytes } from './resources/memory.js'
import { removeGroup } from './server-group.js'
import { writeAll } from './transaction.js'

/** What every group of a server shares. */
export interface GroupContext {
  files: HostFiles
  driver: CgroupDriver
  capacity: CurrentCapacity
  /** CFS period, microseconds. */
  period: number
}

/** What became of a request to set limits. */
export interface LimitChange {
  /** The limits that hold now: all that were asked for, or those beside one that is too low. */
  applied: ResourceLimits
  /** Whether any of them is another than before. */
  changed: boolean
  /** LIMIT_TOO_LOW; its `details.applied` are the names of the others. */
  tooLow: EdgeInferError | undefined
}

function naming(applied: ResourceLimits, { code, message, details, cause }: EdgeInferError): EdgeInferError {
  const names = RESOURCE_ROWS.flatMap(([key, { names: [name] }]) => applied[key] === undefined ? [] : [name])
  const said = names.length === 0 ? message : `${message}; ${names.join(', ')} was set`
  return new EdgeInferError(code, said, { cause, details: { ...details, applied: names } })
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

  /** The limits in effect, read from the kernel. */
  abstract read(): LimitsInEffect

  /** Of those, what replies carry. */
  abstract readUtil(): EffectiveLimits

  /** Counters of the kernel since the group was made. */
  stats(): GroupStats {
    return this.context.driver.stats(this.path)
  }

  /** Bytes of memory, `limit` Infinity where nothing is limited; undefined where nobody counts them. */
  memory(): { limit: number; used: number } | undefined {
    const { driver } = this.context
    if (driver.missing.memory !== undefined) return undefined
    const files = driver.files(this.path, 'memory')
    return { limit: bytesOf(files), used: bytesInUse(files) }
  }

  /** Kills what still runs in the group, and removes it. */
  async remove(): Promise<void> {
    await removeGroup(this.context.driver, this.path)
  }

  protected readOwnUtil(): EffectiveLimits {
    return fromReported((key) => this.#read(RESOURCES[key]))
  }

  protected readOwn(): LimitsInEffect {
    return mapLimits((_, resource) => this.#read(resource)) as LimitsInEffect
  }

  #read<Limit>(resource: Resource<Limit>): Limit {
    const { driver } = this.context
    const capacity = this.context.capacity.read()
    const { controller } = resource.need
    if (driver.missing[controller] !== undefined) return resource.unlimited(capacity)
    return resource.read(driver.files(this.path, controller), capacity)
  }

  /** Where nothing changes nothing is written. @throws EdgeInferError CGROUP_UNAVAILABLE */
  protected async write(limits: ResourceLimits, children: readonly string[]): Promise<LimitChange> {
    try {
      const writes = RESOURCE_ROWS.flatMap(([key, resource]) =>
        limits[key] === undefined ? [] : this.#plan(resource, limits[key], children))
      if (writes.length > 0) await writeAll(this.context.files, writes)
      return { applied: limits, changed: writes.length > 0, tooLow: undefined }
    } catch (error) {
      if (!(error instanceof EdgeInferError) || error.code !== 'LIMIT_TOO_LOW') throw error
      const others = mapLimits((key, { canBeTooLow }) => canBeTooLow ? undefined : limits[key])
      return { ...await this.write(others, children), tooLow: naming(others, error) }
    }
  }

  #plan(resource: Resource<unknown>, limit: unknown, children: readonly string[]): KernelWrite[] {
    const { driver, period } = this.context
    const { controller } = resource.need
    const reason = driver.missing[controller]
    if (reason !== undefined) {
      throw new EdgeInferError('CGROUP_UNAVAILABLE', `The ${controller} limit cannot be set: ${reason}`)
    }
    const childFiles = children.map((child) => driver.files(child, controller))
    const plan = resource.plan(driver.files(this.path, controller), childFiles, limit, {
      capacity: this.context.capacity.read(), period,
    })
    if (Array.isArray(plan)) return plan
    const { expected, received, details } = plan
    throw new EdgeInferError('LIMIT_TOO_LOW', `Expected ${expected} but received ${received}`, { details })
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
   * kernel refuses one, none; but one that is too low keeps no other from being set.
   * @throws EdgeInferError CGROUP_UNAVAILABLE
   */
  async apply(limits: ResourceLimits): Promise<LimitChange> {
    return this.inTurn(() => this.write(limits, [...this.#workers]))
  }

  /** @throws EdgeInferError LIMIT_TOO_LOW unless the task, and the node, have so many bytes for one more worker. */
  requireMemory(workerBytes: number): void {
    const { files, capacity } = this.context
    const { memoryBytes: totalBytes } = capacity.read()
    const ofTask = this.memory()
    const worker = `${mebibytes(workerBytes)} for another worker`
    if (ofTask && ofTask.limit - ofTask.used < workerBytes) {
      const { limit: limitBytes, used: usedBytes } = ofTask
      const share = (bytes: number): number => Math.ceil(bytes / totalBytes * 1e4) / 1e4
      const [limit, least] = [share(limitBytes), share(usedBytes + workerBytes)]
      const message = `Expected a memory limit of the task of at least ${least} (${mebibytes(usedBytes)} in use and ` +
        `${worker}, of ${mebibytes(totalBytes)}) but it is ${limit} (${mebibytes(limitBytes)})`
      throw new EdgeInferError('LIMIT_TOO_LOW', message, {
        details: { limit, least, limitBytes, usedBytes, workerBytes, totalBytes },
      })
    }
    const { limit: limitBytes, used: usedBytes } = readMemoryInUse(files)
    if (limitBytes - usedBytes >= workerBytes) return
    const message = `Expected ${worker} but of the ${mebibytes(limitBytes)} that this node may use ` +
      `${mebibytes(usedBytes)} are in use`
    throw new EdgeInferError('LIMIT_TOO_LOW', message, { details: { limitBytes, usedBytes, workerBytes, totalBytes } })
  }

  read(): LimitsInEffect {
    return this.readOwn()
  }

  readUtil(): EffectiveLimits {
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
   * Sets the fields given for this worker, as {@link TaskGroup.apply} does for a task.
   * @throws EdgeInferError BAD_LIMIT above the task's limit, CGROUP_UNAVAILABLE
   */
  async apply(limits: ResourceLimits): Promise<LimitChange> {
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

  read(): LimitsInEffect {
    const [own, task] = [this.readOwn(), this.#task.read()]
    return mapLimits((key, { order }) => order.effective(own[key], task[key])) as LimitsInEffect
  }

  readUtil(): EffectiveLimits {
    const [own, task] = [this.readOwnUtil(), this.#task.readUtil()]
    return fromReported((key) => RESOURCES[key].order.effective(own[key], task[key]))
  }
}

/** Those of the limits that hold a worker lower than its task. */
function below(limits: ResourceLimits, task: LimitsInEffect): ResourceLimits {
  return mapLimits((key, { order }) => limits[key] === undefined ? undefined : order.below(limits[key], task[key]))
}

function requireWithin(limits: ResourceLimits, task: LimitsInEffect): void {
  for (const [key, { names, order }] of RESOURCE_ROWS) {
    const excess = limits[key] === undefined ? undefined : order.excess(limits[key], task[key])
    if (!excess) continue
    const message = `Expected ${names[0]} of ${excess.expected}, the task's own, but received ${excess.received}: ` +
      'raise the limit of the task first'
    throw new EdgeInferError('BAD_LIMIT', message)
  }
}

/** The limits that `limitOf` gives a value. */
function mapLimits(limitOf: (key: ResourceKey, resource: Resource<unknown>) => unknown): ResourceLimits {
  return Object.fromEntries(RESOURCE_ROWS.flatMap(([key, resource]) => {
    const limit = limitOf(key, resource)
    return limit === undefined ? [] : [[key, limit]]
  }))
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/

export function isTaskGroup(name: string): boolean {
  return NAME.test(name)
}

function checkedName(name: string): string {
  if (NAME.test(name)) return name
  const message = `Expected a group name of letters, digits, - and _ but received ${JSON.stringify(name)}`
  throw new EdgeInferError('BAD_OPTION', message)
}
