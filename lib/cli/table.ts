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
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
