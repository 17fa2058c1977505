/** Plain tables for people: aligned columns, no borders, so that they can be copied and grepped. */
import Table from 'cli-table3'

const NO_BORDER = Object.fromEntries([
  'top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right',
  'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid',
].map((part) => [part, '']))

export function renderTable(
  head: readonly string[], rows: ReadonlyArray<readonly string[]>, rightAligned: readonly string[] = [],
): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((title) => (rightAligned.includes(title) ? 'right' : 'left')),
    chars: { ...NO_BORDER, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) table.push([...row])
  return table.toString().split('\n').map((line) => line.trimEnd()).join('\n')
}

/** `12.8 MB`; decimal units, as networks and disks count. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(0)} kB`
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`
  return `${(bytes / 1_000_000_000).toFixed(1)} GB`
}

/** Names and what is to be said of each, folded at `columns` and aligned. */
export function renderFacts(facts: Readonly<Record<string, string>>, columns = process.stdout.columns ?? 80): string {
  const margin = Math.max(...Object.keys(facts).map((name) => name.length)) + 2
  return Object.entries(facts)
    .map(([name, text]) => name.padEnd(margin) + indent(wrap(text, columns - margin), margin).trimStart())
    .join('\n')
}

/** Folds lines between words; a word that is wider than `columns` is left whole. */
export function wrap(text: string, columns = process.stdout.columns ?? 80): string {
  return text.split('\n').map((line) => {
    const lines: string[] = []
    for (const word of line.split(' ')) {
      const last = lines.at(-1)
      if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`
      else lines.push(word)
    }
    return lines.join('\n')
  }).join('\n')
}

export function indent(text: string, columns = 2): string {
  return text.replace(/^/gm, ' '.repeat(columns))
}
