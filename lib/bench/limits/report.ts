/** Measurements of limits as a report. */
import { describeMachine } from '../machine.js'
import type { RecordRow, Report, ReportSection } from '../report.js'
import { summarize, type Summary } from '../statistics.js'
import { lineChart, type Series } from '../svg.js'
import { EFFECT_WINDOW, TOLERANCE, type LimitResult, type LimitResults, type StepResult } from './index.js'

/** Milliseconds. */
const EFFECT_TARGET = 500
const TAIL_TARGET = { limit: 0.25, ratio: 2.5 }
/** Below this the machine had nothing left to give. */
const IDLE_LEFT = 0.02

/**
 * - `held`: within the tolerance;
 * - `demand-limited`: below the limit while the machine had idle time: the workers had no use for more;
 * - `machine full`: below the limit, and nothing was idle: the loader and other programs had the rest;
 * - `missed`: neither explains it.
 */
type Verdict = 'held' | 'demand-limited' | 'machine full' | 'missed'

export function reportLimits({ cores, results, steps }: LimitResults, settings: Report['settings']): Report {
  return {
    bench: 'limits',
    title: 'CPU limits under saturating load',
    machine: describeMachine(),
    settings,
    records: [...results.map(toRecord), ...steps.map(toStepRecord)],
    sections: [limitSection(results, cores), stepSection(steps), targetSection(results, steps)],
  }
}

function limitSection(results: readonly LimitResult[], cores: number): ReportSection {
  return {
    title: `Limit asked and CPU used, shares of ${cores} cores; latency in milliseconds`,
    plots: [usagePlot(results), latencyPlot(results)],
    table: {
      columns: [
        { title: 'TASK' },
        ...[
          'WORKERS', 'LIMIT', 'USED', 'ERROR', 'REQUESTS/S', 'p50', 'p99', 'p99/p50', 'RUN p50', 'RUN p99', 'THROTTLED',
          'IDLE',
        ].map((title) => ({ title, align: 'right' as const })),
        { title: 'VERDICT' },
      ],
      rows: results.map((result) => {
        const { latency, run } = timesOf(result)
        return [
          result.task, String(result.workers), String(result.limit), result.cpu.toFixed(4), percent(errorOf(result), 1),
          rateOf(result).toFixed(1), at(latency, 50).toFixed(1), at(latency, 99).toFixed(1), tailOf(latency).toFixed(2),
          at(run, 50).toFixed(1), at(run, 99).toFixed(1), percent(result.throttled), percent(result.idle),
          verdictOf(result),
        ]
      }),
    },
    notes: [
      'Latency is what the caller sees with two requests in flight a worker, one that runs and one that waits; ' +
      'RUN is the ' +
        'part in the worker. THROTTLED: CFS periods in which the quota was used up. IDLE: of the whole machine. ' +
        'The load ' +
        'comes from a process on the same cores, and the workers have the highest weight among their cores\' programs.',
      'demand-limited: the workers had no use for more while cores were idle (a request is decoded by one thread, ' +
        'and the model computes on several only in parts). machine full: the loader and other programs had the rest.',
    ],
  }
}

function stepSection(steps: readonly StepResult[]): ReportSection {
  return {
    title: `A change under load: until the first ${EFFECT_WINDOW} ms within the new limit, milliseconds`,
    table: {
      columns: [{ title: 'TASK' }, ...['WORKERS', 'FROM', 'TO', 'ACKNOWLEDGED', 'EFFECT', 'SLOWEST REQUEST']
        .map((title) => ({ title, align: 'right' as const }))],
      rows: steps.map(({ task, workers, from, to, acknowledged, effect, slowest }) => [
        task, String(workers), String(from), String(to), acknowledged.toFixed(1), effect?.toFixed(0) ?? 'not seen',
        slowest.toFixed(1),
      ]),
    },
    notes: [
      'The slowest request of the two seconds after the change waited for the model to be loaded with fewer threads.',
    ],
  }
}

function targetSection(results: readonly LimitResult[], steps: readonly StepResult[]): ReportSection {
  const rows: string[][] = []
  for (const workers of new Set(results.map((result) => result.workers))) {
    const own = results.filter((result) => result.workers === workers)
    const off = own.filter((result) => verdictOf(result) !== 'held')
    const exceptions = off.map((result) => `${result.limit}: ${percent(errorOf(result), 1)}, ${verdictOf(result)}`)
    rows.push([
      `CPU within ±${100 * TOLERANCE} % of the limit`, String(workers),
      off.length === 0 ? 'holds' : `missed at ${exceptions.join('; ')}`,
    ])
    for (const result of own.filter(({ limit }) => Math.abs(limit - TAIL_TARGET.limit) < 0.005)) {
      const { latency, run } = timesOf(result)
      rows.push([
        `p99 ≤ ${TAIL_TARGET.ratio} × p50 at ${TAIL_TARGET.limit}`, String(workers),
        `${judge(tailOf(latency) <= TAIL_TARGET.ratio)} (${tailOf(latency).toFixed(2)}; ` +
          `in the worker ${tailOf(run).toFixed(2)})`,
      ])
    }
  }
  for (const { workers, effect } of steps) {
    rows.push([`effect within ${EFFECT_TARGET} ms`, String(workers), judge((effect ?? Infinity) <= EFFECT_TARGET)])
  }
  return {
    title: 'Targets',
    table: { columns: [{ title: 'TARGET' }, { title: 'WORKERS', align: 'right' }, { title: 'OUTCOME' }], rows },
  }
}

function usagePlot(results: readonly LimitResult[]): string {
  const asked: Series = { name: 'asked', points: [[0, 0], [1, 1]] }
  return lineChart(
    'Limit asked and CPU used', { label: 'limit, share of the machine', max: 1 }, { label: 'CPU used, share', max: 1 },
    [asked, ...seriesOf(results, 'used', ({ cpu }) => cpu)],
  )
}

function latencyPlot(results: readonly LimitResult[]): string {
  return lineChart(
    'Latency under a limit, at saturation', { label: 'limit, share of the machine', max: 1 }, { label: 'milliseconds' },
    [50, 99].flatMap((p) => seriesOf(results, `p${p}`, (result) => at(timesOf(result).latency, p))),
  )
}

function seriesOf(results: readonly LimitResult[], name: string, value: (result: LimitResult) => number): Series[] {
  return [...new Set(results.map(({ workers }) => workers))].map((workers) => ({
    name: `${name}, ${workers} worker${workers === 1 ? '' : 's'}`,
    points: results.filter((result) => result.workers === workers && result.answered.length > 0)
      .map((result) => [result.limit, value(result)] as const),
  }))
}

function toRecord(result: LimitResult): RecordRow {
  const { task, workers, limit, cpu, throttled, idle, seconds, answered, errors } = result
  const { latency, run } = timesOf(result)
  return {
    kind: 'limit', task, workers, limit, cpu_used: cpu, relative_error: errorOf(result), seconds,
    requests: answered.length,
    errors, requests_per_second: rateOf(result), p50_ms: at(latency, 50), p99_ms: at(latency, 99),
    run_p50_ms: at(run, 50), run_p99_ms: at(run, 99), throttled_share: throttled, idle_share: idle,
    verdict: verdictOf(result),
  }
}

function toStepRecord({ task, workers, from, to, acknowledged, effect, slowest }: StepResult): RecordRow {
  return {
    kind: 'step', task, workers, limit_before: from, limit: to, acknowledged_ms: acknowledged,
    ...(effect !== undefined && { effect_ms: effect }), slowest_ms: slowest,
  }
}

function verdictOf(result: LimitResult): Verdict {
  const error = errorOf(result)
  if (Math.abs(error) <= TOLERANCE) return 'held'
  if (error > 0) return 'missed'
  if (result.idle <= IDLE_LEFT) return 'machine full'
  return result.throttled < 0.5 ? 'demand-limited' : 'missed'
}

function timesOf({ answered }: LimitResult): { latency: Summary; run: Summary } {
  return {
    latency: summarize(answered.map(({ latency }) => latency), [50, 99]),
    run: summarize(answered.map(({ run }) => run), [50, 99]),
  }
}

function at({ percentiles }: Summary, percent: number): number {
  return percentiles[percent] ?? Number.NaN
}

function tailOf(summary: Summary): number {
  return at(summary, 99) / at(summary, 50)
}

function errorOf({ cpu, limit }: LimitResult): number {
  return cpu / limit - 1
}

function rateOf({ answered, seconds }: LimitResult): number {
  return answered.length / seconds
}

function judge(holds: boolean): string {
  return holds ? 'holds' : 'missed'
}

function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`
}
