/** Figures and names as people read them. */
import { definitionOf, isTaskName } from '../tasks/registry.js'

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const fine = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

export const percent = (value: number): string => `${value < 10 ? fine.format(value) : whole.format(value)} %`

export const share = (value: number): string => `${fine.format(value * 100)} %`

export const gigabytes = (value: number): string => `${fine.format(value)} GB`

export function megabytesPerSecond(value: number): string {
  return value < 0.1 ? `${whole.format(value * 1000)} kB/s` : `${fine.format(value)} MB/s`
}

export function milliseconds(value: number | null): string {
  if (value === null) return '–'
  return value < 10 ? fine.format(value) : whole.format(value)
}

export function age(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}

/** A node of another version may have tasks that this page does not know. */
export const taskName = (task: string): string => isTaskName(task) ? definitionOf(task).title : task
