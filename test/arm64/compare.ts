/**
 * Compares the answers of two machines, `compare.js X64.json ARM64.json`, as a table. Exit code 1 where they differ, or
 * where a task found nothing to compare.
 */
import { readFileSync } from 'node:fs'
import Table from 'cli-table3'
import type { Answers, Finding, TaskAnswer } from './answers.js'

/** What may lie between two machines, at most. */
const LIMITS = { pixels: 1, score: 1e-3, degrees: 0.1, crop: 2 }

type Apart = Record<keyof typeof LIMITS, number>

const [one, other] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')) as Answers) as
  [Answers, Answers]

/** NaN where one side has a value that the other lacks. */
function farthest(a: readonly number[], b: readonly number[]): number {
  return a.length === b.length ? Math.max(0, ...a.map((value, index) => Math.abs(value - (b[index] as number)))) : NaN
}

function apart(a: Finding, b: Finding): Apart {
  return {
    pixels: farthest(a.box, b.box),
    score: farthest([a.score ?? 0], [b.score ?? 0]),
    degrees: farthest(a.angles ?? [], b.angles ?? []),
    crop: farthest([a.cropMean ?? 0], [b.cropMean ?? 0]),
  }
}

/** Findings come best first, and those of like scores may have changed places: each takes the nearest of its label. */
function compare(a: TaskAnswer, b: TaskAnswer): { worst: Apart; same: boolean } {
  const left = [...b.findings]
  const worst: Apart = { pixels: 0, score: 0, degrees: 0, crop: 0 }
  const different = { worst, same: false }
  if (a.model !== b.model || a.findings.length === 0 || a.findings.length !== b.findings.length) return different
  for (const finding of a.findings) {
    const distance = ({ label, box }: Finding): number =>
      label === finding.label ? farthest(box, finding.box) : Infinity
    const nearest = left.reduce((best, next) => distance(next) < distance(best) ? next : best)
    left.splice(left.indexOf(nearest), 1)
    if (nearest.label !== finding.label) return different
    for (const [what, value] of Object.entries(apart(finding, nearest)) as [keyof Apart, number][]) {
      // NaN stays.
      worst[what] = Math.max(worst[what], value)
    }
  }
  return { worst, same: (Object.keys(LIMITS) as (keyof Apart)[]).every((what) => worst[what] <= LIMITS[what]) }
}

const table = new Table({
  head: ['TASK', 'MODEL', 'FOUND', ...Object.keys(LIMITS).map((what) => what.toUpperCase()), 'CPU SECONDS', ''],
  style: { head: [], border: [] },
})
for (const [index, a] of one.tasks.entries()) {
  const b = other.tasks[index] as TaskAnswer
  const { worst, same } = compare(a, b)
  if (!same) process.exitCode = 1
  table.push([
    a.task, a.model, [...new Set([a.findings.length, b.findings.length])].join(' and '),
    ...Object.values(worst).map((value) => value === 0 ? '0' : value.toPrecision(2)),
    [a, b].map(({ loadSeconds, runSeconds }) => (loadSeconds + runSeconds).toFixed(1)).join(' and '),
    same ? 'same' : 'DIFFERENT',
  ])
}
for (const { versions: { machine, ...versions } } of [one, other]) {
  console.log(`${machine}: ${Object.entries(versions).map((pair) => pair.join(' ')).join(', ')}`)
}
console.log(table.toString())
if (process.exitCode === 1) {
  console.log(`Expected the same findings, apart by at most ${JSON.stringify(LIMITS)}`)
  for (const { versions: { machine }, tasks } of [one, other]) console.log(`${machine}: ${JSON.stringify(tasks)}`)
}
