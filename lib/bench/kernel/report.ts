/** Kernel measurements as a report. */
import { describeMachine } from '../machine.js'
import type { RecordRow, Report, ReportSection } from '../report.js'
import { percentile, ratioOfMedians, sorted, summarize, type Ratio } from '../statistics.js'
import { lineChart, stackedBars, type StackedBar } from '../svg.js'
import type { Measurement } from '../interleave.js'
import type { KernelResult, KernelResults } from './index.js'
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
      ...(eventLoop ? [{
        stage: 'event loop gap', model: eventLoop.model, concurrent_runs: eventLoop.concurrentRuns,
        max_ms: eventLoop.longest, p99_ms: eventLoop.p99,
      }] : []),
    ],
    sections: [
      latencySection(results, percentiles, skipped),
      stageSection(results),
      ...(results.some(({ floor }) => floor) ? [floorSection(results)] : []),
      ...distributionSections(results),
      ...sweepSections(results),
      ...(eventLoop ? [eventLoopSection(eventLoop)] : []),
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
    plots: results.length > 0
      ? [stackedBars('Median time of a call, by stage', { label: 'milliseconds' }, results.flatMap(toBars))]
      : [],
    table: {
      columns: [...KEY_COLUMNS, ...STAGES.map((title) => ({ title: title.toUpperCase(), align: 'right' as const }))],
      rows: results.map((result) => [
        ...keysOf(result), ...STAGES.map((stage) => milliseconds(medianOf(stageValues(result.library, stage)))),
      ]),
    },
    notes: ['Overhead is what a call takes beyond its stages: the hand-over to a native thread and back.'],
  }
}

function floorSection(results: readonly KernelResult[]): ReportSection {
  return {
    title: 'Beside the floor, measured in turns',
    table: {
      columns: [
        ...KEY_COLUMNS, ...['LIBRARY', 'FLOOR', 'DECODE', 'SESSION.RUN', 'RATIO', 'QUARTILES'].map((title) => ({
          title, align: 'right' as const,
        })),
      ],
      rows: results.flatMap((result) => {
        const ratio = ratioOf(result)
        if (ratio === undefined || result.floor === undefined) return []
        return [[
          ...keysOf(result), milliseconds(medianOf(totals(result.library))), milliseconds(medianOf(totals(result.floor))),
          milliseconds(medianOf(stageValues(result.floor, 'decode'))),
          milliseconds(medianOf(stageValues(result.floor, 'inference'))),
          ratio.median.toFixed(3), `${ratio.lowerQuartile.toFixed(3)}–${ratio.upperQuartile.toFixed(3)}`,
        ]]
      }),
    },
    notes: [
      'The floor is cv::imdecode of the whole frame and session.run in C++ with nothing around them: the same ' +
        'runtime library, model, session options, threads and bytes. RATIO: library ÷ floor, of the medians; ' +
        'QUARTILES: of the ratios of single rounds. Below 1, the reduced decode saves more than all the rest costs.',
    ],
  }
}

function distributionSections(results: readonly KernelResult[]): ReportSection[] {
  return results.filter(({ floor }) => floor !== undefined).map((result) => ({
    title: `Distribution: ${keysOf(result).join(', ')} thread${result.threads === 1 ? '' : 's'}`,
    plots: [lineChart('Latency by percentile', { label: 'percentile', max: 100 }, { label: 'milliseconds' }, [
      { name: 'library', points: percentileCurve(result.library) },
      { name: 'floor', points: percentileCurve(result.floor ?? []) },
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
  return [{ title: 'Threads', plots: [lineChart('Frames/s by threads', { label: 'threads' }, { label: 'frames/s' }, series)] }]
}

function eventLoopSection(
  { model, concurrentRuns, longest, p99 }: NonNullable<KernelResults['eventLoop']>,
): ReportSection {
  return {
    title: 'Event loop',
    notes: [`Longest gap between two turns under ${concurrentRuns} concurrent runs of ${model}: ` +
      `${longest.toFixed(1)} ms (p99 ${p99.toFixed(1)} ms).`],
  }
}

const KEY_COLUMNS: Array<{ title: string; align?: 'right' }> = [
  { title: 'TASK' }, { title: 'MODEL' }, { title: 'PICTURE' }, { title: 'THREADS', align: 'right' },
]

function keysOf({ task, model, image, width, height, threads }: KernelResult): string[] {
  return [task, model, `${image} ${width}×${height}`, String(threads)]
}

function toRecords(result: KernelResult, percentiles: readonly number[]): RecordRow[] {
  const { task, model, image, width, height, threads, runs } = result
  const ratio = ratioOf(result)
  const base = { task, model, image, width, height, threads, model_runs: runs }
  return (['library', 'floor'] as const).flatMap((contender) => {
    const measured = result[contender]
    if (measured === undefined) return []
    const stages = [...new Set(measured.flatMap((measurement) => Object.keys(measurement.stages)))]
    return [
      {
        ...base, contender, stage: 'total', ...figures(totals(measured), percentiles),
        frames_per_second: 1000 / summarize(totals(measured), []).mean,
        ...(contender === 'library' && ratio && {
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
  const { task, threads, image } = result
  const name = `${task}, ${image}, ${threads} thr.`
  const bar = (label: string, measured: Measurement[], stages: readonly string[]): StackedBar => ({
    name: label,
    parts: stages.map((stage) => ({ name: stage, value: Math.max(0, medianOf(stageValues(measured, stage))) })),
  })
  return [
    bar(name, result.library, STAGES),
    ...(result.floor ? [bar('floor', result.floor, ['decode', 'inference'])] : []),
  ]
}

function ratioOf({ library, floor }: KernelResult): Ratio | undefined {
  return floor && ratioOfMedians(totals(library), totals(floor))
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

function medianOf(values: readonly number[]): number {
  return percentile(sorted(values), 50)
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2)
}
