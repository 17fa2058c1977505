/** A comparison as a report. */
import { STAGES } from '../kernel/library.js'
import { describeMachine } from '../machine.js'
import type { RecordRow, Report, ReportSection } from '../report.js'
import { median, percentile, ratioOfMedians, sorted, summarize, type Ratio } from '../statistics.js'
import { stackedBars } from '../svg.js'
import type { ComparedTarget, ComparedTask } from './index.js'
import { judge, totals } from './targets.js'

export function reportComparison(
  results: readonly ComparedTask[], percentiles: readonly number[], settings: Report['settings'],
): Report {
  return {
    bench: 'compare',
    title: 'Side by side with what people use today',
    machine: describeMachine(),
    settings,
    records: results.flatMap((result) =>
      result.benchTargets.map((benchTarget) => toRecord(result, benchTarget, percentiles))),
    sections: [
      ...results.flatMap((result) => [section(result, percentiles), stageSection(result)]),
      ...targetSections(results),
    ],
  }
}

function section(result: ComparedTask, percentiles: readonly number[]): ReportSection {
  const { task, model, image, width, height, threads, benchTargets, skipped, notes } = result
  return {
    title: `${task}: ${model}, ${image} ${width}×${height}, ${threads} thread${threads === 1 ? '' : 's'}, ` +
      `${benchTargets[0]?.measured.length ?? 0} rounds`,
    table: {
      columns: [
        { title: 'BENCH TARGET' },
        ...[...percentiles.map((percent) => `p${percent}`), 'LIBRARY ÷ IT', 'QUARTILES', 'SAME OBJECTS', 'LEAST IoU',
          'SCORES WITHIN'].map((title) => ({ title, align: 'right' as const })),
      ],
      rows: benchTargets.map((benchTarget) => {
        const ascending = sorted(totals(benchTarget))
        const ratio = ratioTo(benchTargets[0], benchTarget)
        const { agreement } = benchTarget
        return [
          benchTarget.name,
          ...percentiles.map((percent) => percentile(ascending, percent).toFixed(2)),
          ratio.median.toFixed(3), `${ratio.lowerQuartile.toFixed(3)}–${ratio.upperQuartile.toFixed(3)}`,
          ...(agreement
            ? [`${agreement.common} of ${agreement.common + agreement.apart}`, agreement.leastIou.toFixed(3),
                agreement.greatestScoreDifference.toFixed(4)]
            : ['', '', '']),
        ]
      }),
    },
    notes: [
      'Milliseconds a frame, measured in turns. SAME OBJECTS: found both by it and by the library with every pixel ' +
        'decoded and the model as exported. The baseline is decode and session.run with nothing around them, on the ' +
        'model as exported.',
      ...notes,
      ...skipped.map((reason) => `Left out: ${reason}.`),
    ],
  }
}

function stageSection({ task, benchTargets }: ComparedTask): ReportSection {
  return {
    title: `${task}: stages, median milliseconds`,
    plots: [stackedBars(`${task}: median time of a frame, by stage`, { label: 'milliseconds' },
      benchTargets.map((benchTarget) => ({
        name: benchTarget.name,
        parts: STAGES.map((stage) => ({ name: stage, value: Math.max(0, stageOf(benchTarget, stage) ?? 0) })),
      })))],
    table: {
      columns: [
        { title: 'BENCH TARGET' },
        ...STAGES.map((stage) => ({ title: stage.toUpperCase(), align: 'right' as const })),
      ],
      rows: benchTargets.map((benchTarget) =>
        [benchTarget.name, ...STAGES.map((stage) => stageOf(benchTarget, stage)?.toFixed(2) ?? '')]),
    },
    notes: [
      "A peer's decode also scales the frame where its decoder does both. Bench targets in a process of their own " +
        'time themselves: they have no overhead.',
    ],
  }
}

function targetSections(results: readonly ComparedTask[]): ReportSection[] {
  const rows = results.flatMap((result) => judge(result).map(({ name, most, ratio }) => [
    `${name} ≤ ${most.toFixed(2)}`, ratio.median.toFixed(3),
    `${ratio.lowerQuartile.toFixed(3)}–${ratio.upperQuartile.toFixed(3)}`, ratio.median <= most ? 'holds' : 'missed',
  ]))
  const columns = [
    { title: 'TARGET' }, { title: 'MEASURED', align: 'right' as const },
    { title: 'QUARTILES', align: 'right' as const }, { title: 'OUTCOME' },
  ]
  return rows.length === 0 ? [] : [{ title: 'Targets', table: { columns, rows } }]
}

/** Undefined where the bench target has no such stage. */
function stageOf({ measured }: ComparedTarget, stage: string): number | undefined {
  const values = measured.flatMap(({ stages }) => stages[stage] ?? [])
  return values.length === 0 ? undefined : median(values)
}

function toRecord(result: ComparedTask, benchTarget: ComparedTarget, percentiles: readonly number[]): RecordRow {
  const { task, model, image, width, height, threads, benchTargets } = result
  const { count, mean, min, max, percentiles: values } = summarize(totals(benchTarget), percentiles)
  const ratio = ratioTo(benchTargets[0], benchTarget)
  const { agreement } = benchTarget
  return {
    task, model, image, width, height, threads,
    // The baseline under the name that scripts read.
    contender: benchTarget.name === 'baseline' ? 'floor' : benchTarget.name,
    count, mean_ms: mean, min_ms: min, max_ms: max,
    ...Object.fromEntries(percentiles.map((percent) => [`p${percent}_ms`, values[percent] as number])),
    ...Object.fromEntries(STAGES.map((stage) => [`${stage}_p50_ms`, stageOf(benchTarget, stage) ?? ''])),
    library_ratio: ratio.median, library_ratio_q25: ratio.lowerQuartile, library_ratio_q75: ratio.upperQuartile,
    ...(agreement && {
      same_objects: agreement.common, other_objects: agreement.apart, least_iou: agreement.leastIou,
      greatest_score_difference: agreement.greatestScoreDifference,
    }),
  }
}

function ratioTo(library: ComparedTarget | undefined, benchTarget: ComparedTarget): Ratio {
  return ratioOfMedians(library ? totals(library) : [], totals(benchTarget))
}
