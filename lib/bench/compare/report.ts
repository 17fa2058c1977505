/** A comparison as a report. */
import { STAGES } from '../kernel/library.js'
import { describeMachine } from '../machine.js'
import type { RecordRow, Report, ReportSection } from '../report.js'
import { median, percentile, ratioOfMedians, sorted, summarize, type Ratio } from '../statistics.js'
import { stackedBars } from '../svg.js'
import type { ComparedContender, ComparedTask } from './index.js'
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
      result.contenders.map((contender) => toRecord(result, contender, percentiles))),
    sections: [
      ...results.flatMap((result) => [section(result, percentiles), stageSection(result)]),
      ...targetSections(results),
    ],
  }
}

function section(result: ComparedTask, percentiles: readonly number[]): ReportSection {
  const { task, model, image, width, height, threads, contenders, skipped } = result
  return {
    title: `${task}: ${model}, ${image} ${width}×${height}, ${threads} thread${threads === 1 ? '' : 's'}, ` +
      `${contenders[0]?.measured.length ?? 0} rounds`,
    table: {
      columns: [
        { title: 'CONTENDER' },
        ...[...percentiles.map((percent) => `p${percent}`), 'LIBRARY ÷ IT', 'QUARTILES', 'SAME OBJECTS', 'LEAST IoU',
          'SCORES WITHIN'].map((title) => ({ title, align: 'right' as const })),
      ],
      rows: contenders.map((contender) => {
        const ascending = sorted(totals(contender))
        const ratio = ratioTo(contenders[0], contender)
        const { agreement } = contender
        return [
          contender.name,
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
        'decoded and the model as exported. The floor is decode and session.run with nothing around them, on the ' +
        'model as exported.',
      ...skipped.map((reason) => `Left out: ${reason}.`),
    ],
  }
}

function stageSection({ task, contenders }: ComparedTask): ReportSection {
  return {
    title: `${task}: stages, median milliseconds`,
    plots: [stackedBars(`${task}: median time of a frame, by stage`, { label: 'milliseconds' },
      contenders.map((contender) => ({
        name: contender.name,
        parts: STAGES.map((stage) => ({ name: stage, value: Math.max(0, stageOf(contender, stage) ?? 0) })),
      })))],
    table: {
      columns: [
        { title: 'CONTENDER' },
        ...STAGES.map((stage) => ({ title: stage.toUpperCase(), align: 'right' as const })),
      ],
      rows: contenders.map((contender) =>
        [contender.name, ...STAGES.map((stage) => stageOf(contender, stage)?.toFixed(2) ?? '')]),
    },
    notes: [
      "A peer's decode also scales the frame where its decoder does both. Contenders in a process of their own time " +
        'themselves: they have no overhead.',
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

/** Undefined where the contender has no such stage. */
function stageOf({ measured }: ComparedContender, stage: string): number | undefined {
  const values = measured.flatMap(({ stages }) => stages[stage] ?? [])
  return values.length === 0 ? undefined : median(values)
}

function toRecord(result: ComparedTask, contender: ComparedContender, percentiles: readonly number[]): RecordRow {
  const { task, model, image, width, height, threads, contenders } = result
  const { count, mean, min, max, percentiles: values } = summarize(totals(contender), percentiles)
  const ratio = ratioTo(contenders[0], contender)
  const { agreement } = contender
  return {
    task, model, image, width, height, threads, contender: contender.name, count,
    mean_ms: mean, min_ms: min, max_ms: max,
    ...Object.fromEntries(percentiles.map((percent) => [`p${percent}_ms`, values[percent] as number])),
    ...Object.fromEntries(STAGES.map((stage) =>
      [`${stage}_p50_ms`, stageOf(contender, stage) ?? ''])),
    library_ratio: ratio.median, library_ratio_q25: ratio.lowerQuartile, library_ratio_q75: ratio.upperQuartile,
    ...(agreement && {
      same_objects: agreement.common, other_objects: agreement.apart, least_iou: agreement.leastIou,
      greatest_score_difference: agreement.greatestScoreDifference,
    }),
  }
}

function ratioTo(library: ComparedContender | undefined, contender: ComparedContender): Ratio {
  return ratioOfMedians(library ? totals(library) : [], totals(contender))
}
