export {
  DEFAULT_CPU_PERIOD_MICROSECONDS, MEMORY_MARGIN_BYTES, openLimits, type LimitsBackend, type LimitsOptions,
  type TaskGroup, type WorkerGroup,
} from './limits.js'
export { parseLimits } from './parse-limits.js'
export type { Controller, GroupStats, LimitReading, NodeCapacity, ResourceLimits } from './resources.js'
