/** Reports as files; the extension says which format. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { EdgeInferError, writeError } from '../errors.js'
import { renderHtml } from './report-html.js'
import type { RecordRow, Report } from './report.js'
import { stackCharts } from './svg.js'

const WRITERS: Readonly<Record<string, (report: Report) => string>> = {
  '.json': renderJson,
  '.csv': (report) => renderCsv(report.records),
  '.html': renderHtml,
  '.svg': ({ sections }) => stackCharts(sections.flatMap(({ plots = [] }) => plots)),
}

/** @throws EdgeInferError BAD_OPTION for another extension; called before a bench runs, not after. */
export function checkReportPath(path: string): void {
  writerFor(path)
}

export async function writeReport(path: string, report: Report): Promise<void> {
  const text = writerFor(path)(report)
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  } catch (cause) {
    throw writeError(`The report ${path}`, cause as Error)
  }
}

function writerFor(path: string): (report: Report) => string {
  const writer = WRITERS[extname(path).toLowerCase()]
  if (writer !== undefined) return writer
  const known = Object.keys(WRITERS).join(', ')
  throw new EdgeInferError('BAD_OPTION', `Expected a report file that ends in ${known} but received "${path}"`)
}

export function renderJson({ bench, machine, settings, records }: Report): string {
  return `${JSON.stringify({ bench, machine, settings, records }, null, 2)}\n`
}

/** Rows of different keys share one header; what a row lacks is empty. */
export function renderCsv(records: readonly RecordRow[]): string {
  const keys = [...new Set(records.flatMap((record) => Object.keys(record)))]
  const lines = [keys, ...records.map((record) => keys.map((key) => record[key] ?? ''))]
  return `${lines.map((cells) => cells.map(toCsvCell).join(',')).join('\n')}\n`
}

function toCsvCell(value: string | number): string {
  const text = String(value)
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
