/** A report as one HTML file that needs nothing else: no script, no font, no network. */
import type { MachineInfo } from './machine.js'
import type { Report, ReportSection, ReportTable } from './report.js'
import { escapeMarkup } from './svg.js'

const STYLE = `
  :root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #6b7280; --line: #e5e7eb }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #14171a; --faint: #9aa3ad; --line: #2b3138 } }
  body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
    margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
  th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left;
    white-space: nowrap }
  th { color: var(--faint); font-weight: 600 } .right { text-align: right }
  svg { max-width: 100%; height: auto; display: block; margin: 1rem 0 }
  p, dd { max-width: 48rem } dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem }
  dd { margin: 0 }
  dt { color: var(--faint) }
`

export function renderHtml(report: Report): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeMarkup(report.title)}</title>`,
    `<style>${STYLE}</style>`,
    `<h1>${escapeMarkup(report.title)}</h1>`,
    ...report.sections.map(renderSection),
    '<h2>Machine and settings</h2>',
    renderList({ ...labelMachine(report.machine), ...report.settings }),
    '</html>',
    '',
  ].join('\n')
}

function renderSection({ title, table, plots = [], notes = [] }: ReportSection): string {
  return [
    `<section><h2>${escapeMarkup(title)}</h2>`,
    ...plots,
    ...(table ? [renderTable(table)] : []),
    ...notes.map((note) => `<p>${escapeMarkup(note)}</p>`),
    '</section>',
  ].join('\n')
}

function renderTable({ columns, rows }: ReportTable): string {
  const cell = (tag: 'th' | 'td', text: string, index: number): string =>
    `<${tag}${columns[index]?.align === 'right' ? ' class="right"' : ''}>${escapeMarkup(text)}</${tag}>`
  const row = (tag: 'th' | 'td', cells: readonly string[]): string =>
    `<tr>${cells.map((text, index) => cell(tag, text, index)).join('')}</tr>`
  return [
    '<table>', `<thead>${row('th', columns.map(({ title }) => title))}</thead>`,
    '<tbody>', ...rows.map((cells) => row('td', cells)), '</tbody></table>',
  ].join('\n')
}

function renderList(items: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(items).filter(([, value]) => value !== undefined)
  const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
  const lines = entries.map(([name, value]) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(show(value))}</dd>`)
  return `<dl>${lines.join('\n')}</dl>`
}

function labelMachine(machine: MachineInfo): Record<string, string> {
  return {
    date: machine.date,
    CPU: `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGigabytes} GB`,
    platform: machine.platform,
    'load average before': String(machine.loadAverage),
    'Node.js': machine.node,
    'edge-infer': machine.edgeInfer,
    'ONNX Runtime': machine.onnxruntime,
    OpenCV: machine.opencv,
    compiler: machine.compiler,
  }
}
