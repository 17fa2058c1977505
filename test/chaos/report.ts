/** The table at the end of a run. */
import { renderTable } from '../../lib/cli/table.js'
import type { Holding } from './leaks.js'
import type { Ledger } from './ledger.js'

export interface Report {
  seed: number
  minutes: number
  ledger: Ledger
  /** What could not be done here, and why. */
  left: readonly string[]
  start: readonly Holding[]
  end: readonly Holding[]
}

export function renderReport({ seed, minutes, ledger, left, start, end }: Report): string {
  return [
    requestTable(ledger), disturbanceTable(ledger), memoryTable(start, end),
    listOf('Left out', left), listOf('Faults', ledger.faults),
    `${ledger.faultCount} wrong, unexplained or leaked in ${minutes.toFixed(1)} minutes; seed ${seed}`,
  ].filter((part) => part !== '').join('\n\n')
}

function listOf(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

function requestTable(ledger: Ledger): string {
  const rows = [...ledger.rows].sort(([a], [b]) => a.localeCompare(b)).map(([kind, row]) => ({ kind, ...row }))
  const total = {
    kind: 'all', requests: 0, right: 0, wrong: 0, lost: 0, unexplained: 0, refused: new Map<string, number>(),
  }
  for (const row of rows) {
    for (const key of ['requests', 'right', 'wrong', 'lost', 'unexplained'] as const) total[key] += row[key]
    for (const [code, count] of row.refused) total.refused.set(code, (total.refused.get(code) ?? 0) + count)
  }
  const cells = [...rows, total].map(({ kind, requests, right, refused, lost, wrong, unexplained }) => [
    kind, String(requests), String(right), [...refused].map(([code, count]) => `${code} ${count}`).join(', '),
    String(lost), String(wrong), String(unexplained),
  ])
  const numbers = ['REQUESTS', 'RIGHT', 'LOST', 'WRONG', 'UNEXPLAINED']
  return renderTable(['WHAT', 'REQUESTS', 'RIGHT', 'ERRORS EXPLAINED', 'LOST', 'WRONG', 'UNEXPLAINED'], cells, numbers)
}

function disturbanceTable({ disturbances }: Ledger): string {
  const rows = [...disturbances].sort().map(([name, times]) => [name, String(times)])
  return renderTable(['DISTURBANCE', 'TIMES'], rows, ['TIMES'])
}

function memoryTable(start: readonly Holding[], end: readonly Holding[]): string {
  const figures = (one: Holding | undefined): string[] =>
    one ? [String(one.megabytes), String(one.sockets), String(one.descriptors)] : ['', '', '']
  const left = [...end]
  const rows = start.map((before) => {
    const index = left.findIndex(({ process }) => process === before.process)
    const after = index < 0 ? undefined : left.splice(index, 1)[0]
    const [mb = '', sockets = '', others = ''] = figures(before)
    const [mbAfter = '', socketsAfter = '', othersAfter = ''] = figures(after)
    return [before.process, mb, mbAfter, sockets, socketsAfter, others, othersAfter]
  })
  const head = ['PROCESS', 'MB START', 'MB END', 'SOCKETS START', 'END', 'DESCRIPTORS START', 'END']
  return renderTable(head, rows, head.slice(1))
}
