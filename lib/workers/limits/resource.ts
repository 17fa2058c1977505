/**
 * What a limit is. Each has a descriptor in `resources/` and a row in `registry.ts`; routes, OpenAPI, checks,
 * client types, replies and the dashboard's dialog follow from it. Nothing here imports Node: the dashboard has it too.
 */
import type { NodeCapacity } from '../../host/capacity.js'
import type { ControllerFiles, ControllerNeed, KernelWrite } from '../../host/cgroup/driver.js'

/** Keywords of JSON Schema, and of `lib/validation.ts`. */
export interface LimitSchema {
  type?: 'number' | 'integer' | 'array'
  description?: string
  /** What the value must be, in words. */
  expected?: string
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  items?: { type: 'integer'; minimum?: number; enum?: readonly number[] }
  minItems?: number
  uniqueItems?: boolean
}

/** How the limit of a worker and that of its task go together. */
export interface Order<Limit> {
  /** What holds for a worker that has `own` in a task that has `task`. */
  effective(own: Limit, task: Limit): Limit
  /** What of `own` holds a worker lower than its task; `undefined` where nothing does. */
  below(own: Limit, task: Limit): Limit | undefined
  /** What a worker may be given, and what of `asked` is more. */
  excess(asked: Limit, task: Limit): { expected: string; received: string } | undefined
}

/** Share of the node's total that replies carry; without a limit, 1. */
export interface ReportedShare<Key extends string> {
  /** Key in replies and in `service_state`. */
  key: Key
  /** For people: `CPU` of `all cores`. */
  noun: string
  whole: string
}

/** A limit that the kernel could not hold without killing what runs. */
export interface TooLow {
  expected: string
  received: string
  details: Readonly<Record<string, number>>
}

export interface PlanContext {
  capacity: NodeCapacity
  /** CFS period, microseconds. */
  period: number
}

/** The kernel's side of a limit in one version of control groups. */
export interface KernelSide<Setting> {
  read(files: ControllerFiles): Setting
  /** Writes in an order the kernel accepts, so that the group gets the setting and no child one of its own. */
  plan(files: ControllerFiles, children: readonly ControllerFiles[], setting: Setting): KernelWrite[]
}

/** `Setting` is the kernel's form of a limit, `Limit` the interface's. */
export interface ResourceDefinition<Limit, Setting, Name extends string, Key extends string> {
  /** Members of a request that set it; the first is the documented one, the others are its aliases. */
  names: readonly Name[]
  reported?: ReportedShare<Key>
  need: ControllerNeed
  schema: LimitSchema
  /** What this node's hardware adds to the schema. */
  onNode?(capacity: NodeCapacity): LimitSchema
  order: Order<Limit>
  /** What is read where nothing is limited, or nothing can be. */
  unlimited(capacity: NodeCapacity): Limit
  /** `now` is what the kernel has. */
  toSetting(limit: Limit, context: PlanContext, now: () => Setting): Setting
  toLimit(setting: Setting, capacity: NodeCapacity): Limit
  /** Why the limit cannot be lowered so far. */
  tooLow?(files: ControllerFiles, limit: Limit, setting: Setting, capacity: NodeCapacity): TooLow | undefined
  v1: KernelSide<Setting>
  v2: KernelSide<Setting>
}

export interface Resource<Limit, Name extends string = string, Key extends string = string> {
  readonly canBeTooLow: boolean
  readonly names: readonly Name[]
  readonly reported?: ReportedShare<Key>
  readonly need: ControllerNeed
  readonly schema: LimitSchema
  onNode?(capacity: NodeCapacity): LimitSchema
  readonly order: Order<Limit>
  unlimited(capacity: NodeCapacity): Limit
  /** The limit that holds now. */
  read(files: ControllerFiles, capacity: NodeCapacity): Limit
  plan(files: ControllerFiles, children: readonly ControllerFiles[], limit: Limit, context: PlanContext):
    KernelWrite[] | TooLow
}

export function defineResource<Limit, Setting, const Name extends string, const Key extends string = never>(
  definition: ResourceDefinition<Limit, Setting, Name, Key>,
): Resource<Limit, Name, Key> {
  const side = ({ version }: ControllerFiles): KernelSide<Setting> => version === 1 ? definition.v1 : definition.v2
  return {
    ...definition,
    canBeTooLow: definition.tooLow !== undefined,
    read: (files, capacity) => definition.toLimit(side(files).read(files), capacity),
    plan: (files, children, limit, context) => {
      const setting = definition.toSetting(limit, context, () => side(files).read(files))
      return definition.tooLow?.(files, limit, setting, context.capacity) ?? side(files).plan(files, children, setting)
    },
  }
}

/** Amounts of which a worker gets no more than its task. */
export const AT_MOST: Order<number> = {
  effective: Math.min,
  below: (own, task) => own < task ? own : undefined,
  excess: (asked, task) => asked > task ? { expected: `at most ${task}`, received: String(asked) } : undefined,
}

/** Ids of which a worker gets none that its task does not have. */
export const SUBSET: Order<readonly number[]> = {
  effective: (own) => own,
  below: (own, task) => {
    const ids = own.filter((id) => task.includes(id))
    return ids.length > 0 && ids.length < task.length ? ids : undefined
  },
  excess: (asked, task) => {
    const outside = asked.filter((id) => !task.includes(id))
    return outside.length > 0 ? {
      expected: `ids out of ${JSON.stringify(task)}`, received: String(outside),
    } : undefined
  },
}

/** The kernel's own steps are finer than four digits, so that a limit reads as it was set. */
export function roundedShare(share: number): number {
  return Math.min(1, Number(share.toPrecision(4)))
}
