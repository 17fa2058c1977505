/** What every bench gives: figures for programs, tables and plots for people. Writers are `report-*.ts`. */
import type { MachineInfo } from './machine.js'

/** One measured line: a flat row of figures with its keys; units are in the keys' names. */
export type RecordRow = Record<string, string | number>

export interface ReportTable {
  columns: ReadonlyArray<{ title: string; align?: 'right' }>
  rows: readonly (readonly string[])[]
}

export interface ReportSection {
  title: string
  table?: ReportTable
  /** Each an SVG document. */
  plots?: readonly string[]
  notes?: readonly string[]
}

export interface Report {
  /** Name of the bench: `kernel`, `accuracy`, … */
  bench: string
  title: string
  machine: MachineInfo
  /** The options it ran with. */
  settings: Readonly<Record<string, unknown>>
  /** The figures as tidy data: each row says in full what it is about. */
  records: readonly RecordRow[]
  sections: readonly ReportSection[]
}
