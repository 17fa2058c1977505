/** Kernel measurements as a report. */
import { describeMachine } from '../machine.js'
import type { RecordRow, Report, ReportSection } from '../report.js'
import { median, percentile, ratioOfMedians, sorted, summarize, type Ratio } from '../statistics.js'
import { lineChart, stackedBars, type StackedBar } from '../svg.js'
import type { Measurement } from '../interleave.js'
import type { EventLoopResult, KernelResult, KernelResults } from './index.js'
import { STAGES } from './library.js'

export function reportKernel(
  { results, skipped, eventLoop }: KernelResults, percentiles: readonly number[], settings: Report['settings'],
): Report {
  return {
    bench: 'kernel',
    title: 'Library call, stage by stage',
    machine: describeMachine(),
    settings,
    records: [
      ...results.flatMap((result) => toRecords(result, percentiles)),
      ...eventLoop.map(({ model, concurrentRuns, computedAtOnce, longest, p99 }) => ({
        stage: 'event loop gap', model, concurrent_runs: concurrentRuns, computed_at_once: computedAtOnce,
        max_ms: longest, p99_ms: p99,
      })),
    ],
    sections: [
      latencySection(results, percentiles, skipped),
      stageSection(results),
      ...(results.some(({ baseline }) => baseline) ? [baselineSection(results)] : []),
      ...distributionSections(results),
      ...sweepSections(results),
      ...(eventLoop.length > 0 ? [eventLoopSection(eventLoop)] : []),
    ],
  }
}

function latencySection(
  results: readonly KernelResult[], percentiles: readonly number[], skipped: readonly string[],
): ReportSection {
  return {
    title: 'Latency of one call, milliseconds',
    table: {
      columns: [
        ...KEY_COLUMNS, { title: 'REQUESTS', align: 'right' },
        ...percentiles.map((percent) => ({ title: `p${percent}`, align: 'right' as const })),
        { title: 'FRAMES/S', align: 'right' },
      ],
      rows: results.map((result) => {
        const { count, mean, percentiles: values } = summarize(totals(result.library), percentiles)
        return [
          ...keysOf(result), String(count), ...percentiles.map((percent) => milliseconds(values[percent])),
          (1000 / mean).toFixed(1),
        ]
      }),
    },
    notes: skipped.map((reason) => `Left out: ${reason}`),
  }
}

function stageSection(results: readonly KernelResult[]): ReportSection {
  return {
    title: 'Stages, median milliseconds',
    plots: [...new Set(results.map(({ task }) => task))].map((task) => stackedBars(
      `${task}: median time of a call, by stage`, { label: 'milliseconds' },
      results.filter((result) => result.task === task).flatMap(toBars),
    )),
    table: {
      columns: [...KEY_COLUMNS, ...[...STAGES, 'around'].map((title) => ({
        title: title.toUpperCase(), align: 'right' as const,
      }))],
      rows: results.map((result) => [
        ...keysOf(result), ...STAGES.map((stage) => milliseconds(median(stageValues(result.library, stage)))),
        `${(100 * shareAround(result)).toFixed(1)} %`,
      ]),
    },
    notes: [
      'Overhead is what a call takes beyond its stages: the hand-over to a native thread and back. ' +
        'Around is all that a call adds to its own decode and inference, as a share of these.',
    ],
  }
}

function baselineSection(results: readonly KernelResult[]): ReportSection {
  return {
    title: 'Compared with the baseline, measured in turns',
    table: {
      columns: [
        ...KEY_COLUMNS, ...['LIBRARY', 'BASELINE', 'DECODE', 'SESSION.RUN', 'RATIO', 'QUARTILES'].map((title) => ({
          title, align: 'right' as const,
        })),
      ],
      rows: results.flatMap((result) => {
        const ratio = ratioOf(result)
        if (ratio === undefined || result.baseline === undefined) return []
        return [[
          ...keysOf(result),
          milliseconds(median(totals(result.library))), milliseconds(median(totals(result.baseline))),
          milliseconds(median(stageValues(result.baseline, 'decode'))),
          milliseconds(median(stageValues(result.baseline, 'inference'))),
          ratio.median.toFixed(3), `${ratio.lowerQuartile.toFixed(3)}–${ratio.upperQuartile.toFixed(3)}`,
        ]]
      }),
    },
    notes: [
      'The baseline is cv::imdecode of the whole frame and session.run in C++ with nothing around them: the same ' +
        'runtime library, model, input size, session options, threads and bytes. ' +
        'RATIO: library ÷ baseline, of the medians; ' +
        "QUARTILES: of the ratios of single rounds. Below 1, the library's faster decode saves more than the rest " +
        'costs.',
    ],
  }
}

function distributionSections(results: readonly KernelResult[]): ReportSection[] {
  return results.filter(({ baseline }) => baseline !== undefined).map((result) => ({
    title: `Distribution: ${keysOf(result).join(', ')} thread${result.threads === 1 ? '' : 's'}`,
    plots: [lineChart('Latency by percentile', { label: 'percentile', max: 100 }, { label: 'milliseconds' }, [
      { name: 'library', points: percentileCurve(result.library) },
      { name: 'baseline', points: percentileCurve(result.baseline ?? []) },
    ])],
  }))
}

function sweepSections(results: readonly KernelResult[]): ReportSection[] {
  const groups = new Map<string, KernelResult[]>()
  for (const result of results) {
    const key = `${result.task}, ${result.image}`
    groups.set(key, [...(groups.get(key) ?? []), result])
  }
  const swept = [...groups].filter(([, group]) => group.length > 1)
  if (swept.length === 0) return []
  const series = swept.map(([name, group]) => ({
    name,
    points: group.map(({ threads, library }) =>
      [threads, 1000 / summarize(totals(library), []).mean] as const).sort(([a], [b]) => a - b),
  }))
  const plot = lineChart('Frames/s by threads', { label: 'threads', whole: true }, { label: 'frames/s' }, series)
  return [{ title: 'Threads', plots: [plot] }]
}

function eventLoopSection(results: readonly EventLoopResult[]): ReportSection {
  return {
    title: 'Longest gap between two turns of the event loop, milliseconds',
    table: {
      columns: [
        { title: 'MODEL' }, ...['CONCURRENT RUNS', 'COMPUTED AT ONCE', 'LONGEST', 'p99'].map((title) => ({
          title, align: 'right' as const,
        })),
      ],
      rows: results.map(({ model, concurrentRuns, computedAtOnce, longest, p99 }) => [
        model, String(concurrentRuns), String(computedAtOnce), longest.toFixed(1), p99.toFixed(1),
      ]),
    },
    notes: ['More runs at once than cores make the JavaScript thread queue for a core too.'],
  }
}

const KEY_COLUMNS: Array<{ title: string; align?: 'right' }> = [
  { title: 'TASK' }, { title: 'MODEL' }, { title: 'INPUT' }, { title: 'PICTURE' }, { title: 'THREADS', align: 'right' },
]

function keysOf({ task, model, input, image, width, height, threads }: KernelResult): string[] {
  return [task, model, input, `${image} ${width}×${height}`, String(threads)]
}

function toRecords(result: KernelResult, percentiles: readonly number[]): RecordRow[] {
  const { task, model, input, image, width, height, threads, runs } = result
  const ratio = ratioOf(result)
  const base = { task, model, input, image, width, height, threads, model_runs: runs }
  return (['library', 'baseline'] as const).flatMap((benchTarget) => {
    const measured = result[benchTarget]
    // The name that scripts read.
    const contender = benchTarget === 'baseline' ? 'floor' : benchTarget
    if (measured === undefined) return []
    const stages = [...new Set(measured.flatMap((measurement) => Object.keys(measurement.stages)))]
    return [
      {
        ...base, contender, stage: 'total', ...figures(totals(measured), percentiles),
        frames_per_second: 1000 / summarize(totals(measured), []).mean,
        ...(benchTarget === 'library' && { around_decode_and_inference: shareAround(result) }),
        ...(benchTarget === 'library' && ratio && {
          ratio_to_floor: ratio.median, ratio_q25: ratio.lowerQuartile, ratio_q75: ratio.upperQuartile,
        }),
      },
      ...stages.map((stage) => ({ ...base, contender, stage, ...figures(stageValues(measured, stage), percentiles) })),
    ]
  })
}

function figures(values: readonly number[], percentiles: readonly number[]): RecordRow {
  const { count, mean, min, max, percentiles: by } = summarize(values, percentiles)
  return {
    count, mean_ms: mean, min_ms: min, max_ms: max,
    ...Object.fromEntries(percentiles.map((percent) => [`p${percent}_ms`, by[percent] as number])),
  }
}

function toBars(result: KernelResult): StackedBar[] {
  const { threads, image } = result
  const name = `${image}, ${threads} thread${threads === 1 ? '' : 's'}`
  const bar = (label: string, measured: Measurement[], stages: readonly string[]): StackedBar => ({
    name: label,
    parts: stages.map((stage) => ({ name: stage, value: Math.max(0, median(stageValues(measured, stage))) })),
  })
  return [
    bar(name, result.library, STAGES),
    ...(result.baseline ? [bar('baseline', result.baseline, ['decode', 'inference'])] : []),
  ]
}

function shareAround({ library }: KernelResult): number {
  return median(library.map(({ total, stages: { decode = 0, inference = 0 } }) => total / (decode + inference) - 1))
}

function ratioOf({ library, baseline }: KernelResult): Ratio | undefined {
  return baseline && ratioOfMedians(totals(library), totals(baseline))
}

function percentileCurve(measured: readonly Measurement[]): Array<[number, number]> {
  const ascending = sorted(totals(measured))
  return Array.from({ length: 101 }, (_, percent) => [percent, percentile(ascending, percent)])
}

function totals(measured: readonly Measurement[]): number[] {
  return measured.map(({ total }) => total)
}

function stageValues(measured: readonly Measurement[], stage: string): number[] {
  return measured.map(({ stages }) => stages[stage] ?? 0)
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2)
}
