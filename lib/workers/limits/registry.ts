/** All limits, in the order they are written: memory last, since it is the one the kernel refuses. */
import type { ControllerNeed } from '../../host/cgroup/driver.js'
import type { ReportedShare, Resource } from './resource.js'
import { cpu } from './resources/cpu.js'
import { cpus, memoryNodes } from './resources/cpuset.js'
import { memory } from './resources/memory.js'

export const RESOURCES = { cpuUtilLimit: cpu, cpuSetCpus: cpus, cpuSetMems: memoryNodes, memUtilLimit: memory } as const

type Resources = typeof RESOURCES
export type ResourceKey = keyof Resources
type LimitOf<Row> = Row extends Resource<infer Limit, string, string> ? Limit : never
type NameOf<Row extends { names: readonly string[] }> = Row['names'][number]
type ReportedNameOf<Row> = Row extends { readonly reported?: ReportedShare<infer Key> } ? Key : never
export type ReportedKey = {
  [Key in ResourceKey]: [ReportedNameOf<Resources[Key]>] extends [never] ? never : Key
}[ResourceKey]

/** Limits that are set together, in the interface's units. */
export type ResourceLimits = { [Key in ResourceKey]?: LimitOf<Resources[Key]> }

/** What holds now; without a limit, 1 or every id. The lists are what the kernel really allows. */
export type LimitsInEffect = Required<ResourceLimits>

/** Of those, the shares of the whole machine, (0, 1], that replies carry. Read from the kernel. */
export type EffectiveLimits = Pick<LimitsInEffect, ReportedKey>

/** {@link ResourceLimits} as a request has them. */
export type WireLimits = { [Key in ResourceKey as NameOf<Resources[Key]>]?: LimitOf<Resources[Key]> }

/** {@link EffectiveLimits} as a reply has them. */
export type WireEffectiveLimits = { [Key in ReportedKey as ReportedNameOf<Resources[Key]>]: number }

/** The rows, for code that treats all limits alike. */
export const RESOURCE_ROWS = Object.entries(RESOURCES) as unknown as readonly (readonly [
  ResourceKey, Resource<unknown>,
])[]

/** Limits that replies carry. */
export const REPORTED = RESOURCE_ROWS.flatMap(([key, { names: [name], reported }]) =>
  reported
    ? [{
        ...reported, field: key as ReportedKey, name: name as keyof WireLimits,
        key: reported.key as keyof WireEffectiveLimits,
      }]
    : [])

/** What the limits need of the kernel, one entry a controller. */
export const CONTROLLER_NEEDS: readonly ControllerNeed[] =
  [...new Map(RESOURCE_ROWS.map(([, { need }]) => [need.controller, need])).values()]

/** Nothing is limited. */
export const NO_LIMITS: EffectiveLimits = fromReported(() => 1)

/** One value for each limit that replies carry. */
export function fromReported(share: (field: ReportedKey, key: keyof WireEffectiveLimits) => number): EffectiveLimits {
  return Object.fromEntries(REPORTED.map(({ field, key }) => [field, share(field, key)])) as unknown as EffectiveLimits
}

export function toWire(limits: EffectiveLimits): WireEffectiveLimits {
  return Object.fromEntries(REPORTED.map(({ field, key }) => [key, limits[field]])) as unknown as WireEffectiveLimits
}
