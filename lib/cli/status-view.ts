/** A cluster drawn for a terminal. */
import { styleText } from 'node:util'
import type { ClusterView, NodeView, WorkerState } from '../cluster/index.js'

export interface ViewOptions {
  url: string
  /** Characters of a line. */
  columns: number
  colour: boolean
}

type Style = Parameters<typeof styleText>[0]
type Paint = (style: Style, text: string) => string

interface Column {
  title: string
  align?: 'right'
}

/** A cell knows its style apart from its text, which alone is measured. */
interface Cell {
  text: string
  style?: Style
}

/** Columns from which there is room for cores, memory and models. */
const WIDE = 100
const GAP = '  '
const BUSY_PERCENT = 60
const FULL_PERCENT = 85
const LONGEST_TASK = 16

/** The lines of the picture, none longer than `columns`. */
export function drawCluster(view: ClusterView, { url, columns, colour }: ViewOptions): string {
  const paint: Paint = colour ? (style, text) => styleText(
    style, text, { validateStream: false },
  ) : (_style, text) => text
  const wide = columns >= WIDE
  const present = view.nodes.filter(({ lost }) => !lost)
  return [
    ...headline(view, url).map((line) => paint('bold', line.slice(0, columns))),
    '',
    ...drawTable(nodeColumns(wide), view.nodes.map((node) => nodeRow(node, wide)), columns, paint),
    '',
    ...drawTable(workerColumns(wide), present.flatMap((node) => workerRows(node, wide)), columns, paint),
  ].join('\n')
}

function headline({ role, upstream, nodes }: ClusterView, url: string): string[] {
  const lost = nodes.filter((node) => node.lost).length
  const services = nodes.filter((node) => !node.lost).flatMap((node) => Object.values(node.service_state))
  const workers = services.flatMap(workersOf)
  const waiting = workers.reduce((sum, { task_to_do: held = 0 }) => sum + held, 0)
  const counts = [
    count(nodes.length - lost, 'node'), ...(lost > 0 ? [`${lost} lost`] : []), count(workers.length, 'worker'),
  ]
  const first = `${role} ${plain(url)}: ${counts.join(', ')}, ${count(waiting, 'request')} held`
  if (!upstream) return [first]
  const reason = upstream.reason === undefined ? '' : ` (${plain(upstream.reason)})`
  return [first, `of the cloud ${plain(upstream.cloud)}: ${plain(upstream.standing)}${reason}`]
}

function nodeColumns(wide: boolean): Column[] {
  return [
    { title: 'NODE' }, { title: 'ROLE' }, { title: 'HEARD', align: 'right' },
    { title: 'CPU' }, ...(wide ? [{ title: 'CORES', align: 'right' } as const] : []),
    { title: 'MEMORY' }, ...(wide ? [{ title: 'GB', align: 'right' } as const] : []),
    ...(wide ? [{ title: 'SWAP', align: 'right' } as const] : []),
    { title: 'MB/s', align: 'right' }, { title: 'GPU' },
  ]
}

function nodeRow(node: NodeView, wide: boolean): Cell[] {
  const { device_state: device, lost } = node
  const bar = wide ? 14 : 6
  const cells: Cell[] = [
    { text: plain(node.key) },
    { text: `${plain(node.role)}${node.kind === 'poll' ? '*' : ''}` },
    {
      text: node.kind === 'self' ? 'itself' : lost ? `lost ${age(node.age_ms)}` : age(node.age_ms),
      ...(lost && { style: 'red' }),
    },
    meter(mean(device.cpu_ratio), bar), ...(wide ? [figure(device.n_cpu, String)] : []),
    meter(device.mem_ratio, bar), ...(wide ? [figure(device.mem_total, (total) => total.toFixed(1))] : []),
    ...(wide ? [figure(device.swap_ratio, (ratio) => `${ratio.toFixed(0)}%`)] : []),
    figure(device['net_ratio(MBps)'], (rate) => rate.toFixed(1)), { text: gpus(device, wide) },
  ]
  return lost ? cells.map(({ text, style }) => ({ text, style: style === 'red' ? style : 'dim' })) : cells
}

/** `7% 1%m +2`: the first one busy, its memory in use, and how many others there are. */
function gpus(device: NodeView['device_state'], wide: boolean): string {
  const [busy, memory] = [device.gpu_utilization ?? {}, device.gpu_mem ?? {}]
  const [first, ...others] = new Set([...Object.keys(busy), ...Object.keys(memory)])
  if (first === undefined) return '-'
  const share = memory[first]
  const inUse = wide && share !== undefined ? ` ${percent(Math.round(share * 100))}m` : ''
  return `${(busy[first] ?? 0).toFixed(0)}%${inUse}${others.length > 0 ? ` +${others.length}` : ''}`
}

function workerColumns(wide: boolean): Column[] {
  return [
    { title: 'WORKERS' }, { title: 'PID', align: 'right' }, { title: 'QUEUE', align: 'right' },
    { title: 'CPU', align: 'right' }, { title: 'LIMIT', align: 'right' },
    { title: 'MEM', align: 'right' }, { title: 'LIMIT', align: 'right' },
    { title: 'P50 ms', align: 'right' }, { title: 'P99 ms', align: 'right' },
    ...(wide ? [{ title: 'MODEL' }] : []),
  ]
}

function workerRows(node: NodeView, wide: boolean): Cell[][] {
  const services = Object.entries(node.service_state)
  const rows = services.flatMap(([task, service]) => {
    const { cpu_util_limit: limit } = service
    const workers = workersOf(service)
    const name = { text: `  ${plain(task).slice(0, LONGEST_TASK)}${limit < 1 ? ` ≤${percent(limit * 100)}` : ''}` }
    if (workers.length === 0) return [[name, { text: '?' }]]
    return workers.map((worker, index) => [index === 0 ? name : { text: '' }, ...workerCells(worker, wide)])
  })
  return [
    [{ text: plain(node.key), style: 'cyan' }],
    ...(rows.length > 0 ? rows : [[{ text: '  no worker', style: 'dim' } as Cell]]),
  ]
}

function workerCells(worker: WorkerState, wide: boolean): Cell[] {
  return [
    figure(worker.pid, String),
    { ...figure(worker.task_to_do, String), ...(worker.task_to_do > 1 && { style: 'yellow' }) },
    figure(worker.cpu_ratio, percent), limit(worker.cpu_util_limit),
    figure(worker.mem_ratio, percent), limit(worker.mem_util_limit),
    figure(worker.p50_ms, milliseconds), figure(worker.p99_ms, milliseconds),
    ...(wide ? [{ text: plain(worker.model) }] : []),
  ]
}

function limit(share: number): Cell {
  return share < 1 ? { text: percent(share * 100), style: 'yellow' } : { text: '-', style: 'dim' }
}

/** What a node does not tell is a dash. */
function figure(value: unknown, show: (value: number) => string): Cell {
  return { text: isFigure(value) ? show(value) : '-' }
}

function isFigure(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function meter(value: unknown, width: number): Cell {
  if (!isFigure(value)) return { text: '-' }
  const filled = Math.min(width, Math.max(0, Math.round(value / 100 * width)))
  const style = value >= FULL_PERCENT ? 'red' : value >= BUSY_PERCENT ? 'yellow' : 'green'
  return { text: `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${value.toFixed(0).padStart(3)}%`, style }
}

/** What does not fit into `most` characters is cut off at the right. */
function drawTable(
  columns: readonly Column[], rows: readonly (readonly Cell[])[], most: number, paint: Paint,
): string[] {
  const all: readonly (readonly Cell[])[] = [columns.map(({ title }): Cell => ({ text: title, style: 'dim' })), ...rows]
  // A row of one cell is a heading, and as wide as it likes.
  const widths = columns.map(
    (_, index) => Math.max(...all.map((row) => row.length > 1 ? row[index]?.text.length ?? 0 : 0)),
  )
  return all.map((row) => {
    let [line, length] = ['', 0]
    row.forEach(({ text, style }, index) => {
      const width = row.length > 1 ? widths[index] ?? 0 : text.length
      const padded = columns[index]?.align === 'right' ? text.padStart(width) : text.padEnd(width)
      const gap = index === 0 ? '' : GAP
      const fitting = (gap + padded).slice(0, Math.max(0, most - length))
      length += fitting.length
      line += style ? paint(style, fitting) : fitting
    })
    return line.trimEnd()
  })
}

function workersOf({ workers }: NodeView['service_state'][string]): WorkerState[] {
  return workers ?? []
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function percent(value: number): string {
  return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : value.toFixed(0)}%`
}

function milliseconds(value: number): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0)
}

function age(milliseconds: number): string {
  if (!isFigure(milliseconds)) return '-'
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}

/** Of the cores; older nodes tell it as one figure. */
function mean(values: number | readonly number[]): number {
  const all = [values].flat()
  return all.reduce((sum, value) => sum + value, 0) / all.length
}

/** Names come from other machines: nothing of them may move the cursor. */
function plain(text: string | undefined): string {
  return text === undefined ? '-' : text.replace(/[^\x20-\x7e]/g, '?')
}
