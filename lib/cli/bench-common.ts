/** What the benches' commands have in common: options, the progress bar, printing and writing the report. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { checkReportPath, renderJson, writeReport } from '../bench/report-file.js'
import type { Report } from '../bench/report.js'
import { TASK_NAMES, type TaskName } from '../tasks/registry.js'
import { print, printLine } from './output.js'
import { createProgressBar } from './progress.js'
import { renderTable } from './table.js'

export interface OutputOptions {
  device: string
  json?: boolean
  output?: string
}

export interface CommonOptions extends OutputOptions {
  task?: TaskName[]
  model?: string[]
}

/** Of the benches that measure one task. */
export interface TaskBenchOptions extends OutputOptions {
  task: TaskName
  model?: string
}

/** Options of every bench. */
export function addCommonOptions(command: Command): Command {
  const task = new Option('--task <name...>', 'tasks to measure; all unless said otherwise').choices(TASK_NAMES)
  return addOutputOptions(command
    .addOption(task)
    .option('--model <name...>', "a model to measure in place of its task's default"))
}

/** Options of the benches that measure one task. */
export function addTaskOptions(command: Command, tasks: readonly TaskName[] = TASK_NAMES): Command {
  const task = new Option('--task <name>', 'the task to measure').choices(tasks).default(tasks[0])
  return addOutputOptions(command
    .addOption(task)
    .option('--model <name>', "a model to measure in place of the task's default"))
}

function addOutputOptions(command: Command): Command {
  return command
    .option('--device <device>', 'cpu, cuda[:n] or tensorrt[:n]', 'cpu')
    .option('--output <file>', 'also write a report: .html, .csv, .json, or .svg for its plots')
    .option('--json', 'print the figures as JSON in place of tables')
}

/** What a report says of how it was made. */
export function settingsOf<T extends OutputOptions>(
  { json: _json, output: _output, ...settings }: T,
): Report['settings'] {
  return settings
}

/** Runs a bench under a progress bar; prints its report and writes it where one was asked for. */
export async function present(
  { json, output }: OutputOptions,
  measure: (onProgress: (label: string, done: number, total?: number) => void) => Promise<Report>,
): Promise<void> {
  if (output !== undefined) checkReportPath(output)
  const bar = createProgressBar('frames')
  let report: Report
  try {
    report = await measure((label, done, total) => bar.update(label, done, total))
  } finally {
    bar.stop()
  }
  if (json) print(renderJson(report))
  else printSections(report)
  if (output !== undefined) {
    await writeReport(output, report)
    if (!json) printLine(`\nThe report is in ${output}`)
  }
}

function printSections({ machine, sections }: Report): void {
  printLine(`${machine.cpu}, ${machine.cores} cores, load ${machine.loadAverage}; Node.js ${machine.node}, ` +
    `ONNX Runtime ${machine.onnxruntime}, OpenCV ${machine.opencv}`)
  for (const { title, table, notes = [] } of sections) {
    if (!table && notes.length === 0) continue
    printLine(`\n${title}`)
    if (table) {
      const titles = table.columns.map((column) => column.title)
      const right = table.columns.filter(({ align }) => align === 'right').map((column) => column.title)
      printLine(renderTable(titles, table.rows, right))
    }
    for (const note of notes) printLine(note)
  }
}

export function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('Expected a whole number from 1.')
  return count
}

export function parseWhole(text: string): number {
  return text === '0' ? 0 : parseCount(text)
}

export function parseCounts(text: string): number[] {
  return text.split(',').map(parseCount)
}

export function parsePercentiles(text: string): number[] {
  return text.split(',').map((part) => {
    const percent = Number(part)
    if (part === '' || !(percent >= 0 && percent <= 100)) {
      throw new InvalidArgumentError('Expected numbers from 0 to 100.')
    }
    return percent
  })
}

/** 50, 90 and 99 with those asked for. */
export function withUsualPercentiles(percents: readonly number[]): number[] {
  return [...new Set([50, 90, 99, ...percents])].sort((a, b) => a - b)
}
