/** Comparison of answers: floats may differ a little, since a worker's threads do. */

const MAX_DIFFERENCE = 0.01

/** Members of an answer that are of the moment. */
const VOLATILE = ['proc_resource_info', 'proc_resource_info_list', 'task_conf', 'parameters', 'id']

/** Where `found` differs from `expected`, which may have fewer members; undefined where it does not. */
export function difference(found: unknown, expected: unknown, at = 'answer'): string | undefined {
  if (typeof expected === 'number' && typeof found === 'number') {
    const limit = MAX_DIFFERENCE + Math.abs(expected) * 1e-3
    return Math.abs(found - expected) <= limit ? undefined : `${at} is ${found} for ${expected}`
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(found) || found.length !== expected.length) {
      return `${at} is ${shown(found)} for ${shown(expected)}`
    }
    return firstOf(expected.keys(), (index) => difference(found[index], expected[index], `${at}[${index}]`))
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof found !== 'object' || found === null) return `${at} is ${shown(found)} for ${shown(expected)}`
    const [some, all] = [found as Record<string, unknown>, expected as Record<string, unknown>]
    return firstOf(Object.keys(all), (key) => difference(some[key], all[key], `${at}.${key}`))
  }
  return found === expected ? undefined : `${at} is ${shown(found)} for ${shown(expected)}`
}

/** What of an answer is the same each time. */
export function lasting(answer: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(answer).filter(([key]) => !VOLATILE.includes(key)))
}

function firstOf<Key>(keys: Iterable<Key>, tell: (key: Key) => string | undefined): string | undefined {
  for (const key of keys) {
    const what = tell(key)
    if (what !== undefined) return what
  }
  return undefined
}

function shown(value: unknown): string {
  return Array.isArray(value) ? `a list of ${value.length}` : String(JSON.stringify(value)).slice(0, 120)
}
