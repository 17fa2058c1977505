/** Arguments that come as text, in the query string or in fields of a form: JSON where they parse, else the text. */
export function parseArguments(entries: Iterable<readonly [string, unknown]>): Record<string, unknown> {
  return Object.fromEntries([...entries].map(([name, value]) => [name, parseArgument(value)]))
}

function parseArgument(value: unknown): unknown {
  if (Array.isArray(value)) return parseArgument(value.at(-1))
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value
  }
}
