export type { NodeCapacity } from '../../host/capacity.js'
export type { GroupStats } from '../../host/cgroup/index.js'
export type { TaskGroup, WorkerGroup } from './groups.js'
export { DEFAULT_CPU_PERIOD_MICROSECONDS, openLimits, type LimitsBackend, type LimitsOptions } from './limits.js'
export {
  CONTROLLER_NEEDS, fromReported, NO_LIMITS, REPORTED, toWire,
  type EffectiveLimits, type LimitsInEffect, type ResourceLimits, type WireEffectiveLimits, type WireLimits,
} from './registry.js'
export { MEMORY_MARGIN_BYTES } from './resources/memory.js'
export { EFFECTIVE_LIMIT_MEMBERS, LIMIT_MEMBERS } from './schemas.js'
