import { EdgeInferError } from '../../errors.js'
import { leastCpuUtilLimit, type NodeCapacity, type ResourceLimits } from './resources.js'

const KEYS = ['cpu_util_limit', 'mem_limit', 'mem_util_limit', 'cpu_set_cpus', 'cpu_set_mems'] as const
type Key = (typeof KEYS)[number]

/**
 * The limits in the body of `/limit_process_resource` and `/limit_task_resource`; other keys are ignored.
 * @throws EdgeInferError BAD_LIMIT for a wrong value, and where no limit is given at all.
 */
export function parseLimits(body: Readonly<Record<string, unknown>>, capacity: NodeCapacity): ResourceLimits {
  const given = KEYS.filter((key) => body[key] !== undefined)
  if (given.length === 0) {
    throw new EdgeInferError('BAD_LIMIT', `Expected at least one of ${KEYS.join(', ')} but received none of them`)
  }
  const limits: ResourceLimits = {}
  for (const key of given) {
    const value = body[key]
    switch (key) {
      case 'cpu_util_limit':
        limits.cpuUtilLimit = parseFraction(key, value)
        requireHoldable(limits.cpuUtilLimit, capacity)
        break
      case 'mem_limit':
      case 'mem_util_limit':
        limits.memUtilLimit = parseFraction(key, value)
        break
      case 'cpu_set_cpus':
        limits.cpuSetCpus = parseIds(key, value, capacity.cpus)
        break
      case 'cpu_set_mems':
        limits.cpuSetMems = parseIds(key, value, capacity.memoryNodes)
    }
  }
  const { mem_limit: short, mem_util_limit: long } = body
  if (short !== undefined && long !== undefined && short !== long) {
    throw badLimit('mem_limit', `the same as its alias mem_util_limit, ${describe(long)}`, short)
  }
  return limits
}

function parseFraction(key: Key, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value
  throw badLimit(key, 'a number above 0 and at most 1', value)
}

function requireHoldable(limit: number, { cores }: NodeCapacity): void {
  const least = leastCpuUtilLimit(cores)
  if (limit < least) throw badLimit('cpu_util_limit', `at least ${least}, the least the kernel can hold here,`, limit)
}

function parseIds(key: Key, value: unknown, available: readonly number[]): number[] {
  const expected = `a non-empty list of different ids out of ${JSON.stringify(available)}`
  if (!Array.isArray(value) || value.length === 0 || new Set(value).size !== value.length) {
    throw badLimit(key, expected, value)
  }
  return value.map((id: unknown) => {
    if (typeof id !== 'number' || !available.includes(id)) throw badLimit(key, expected, value)
    return id
  })
}

function badLimit(key: Key, expected: string, received: unknown): EdgeInferError {
  const message = `Expected ${key} to be ${expected} but received ${describe(received)}`
  return new EdgeInferError('BAD_LIMIT', message, { details: { key } })
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.length > 16 ? `a list of ${value.length}` : JSON.stringify(value)
  if (value === null || typeof value === 'object') return value === null ? 'null' : 'an object'
  return `${typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)} of type ${typeof value}`
}
