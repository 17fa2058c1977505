export { MEMORY_MARGIN_BYTES, type TaskGroup, type WorkerGroup } from './groups.js'
export { DEFAULT_CPU_PERIOD_MICROSECONDS, openLimits, type LimitsBackend, type LimitsOptions } from './limits.js'
export { parseLimits } from './parse-limits.js'
export type { Controller, GroupStats, LimitReading, NodeCapacity, ResourceLimits } from './resources.js'
