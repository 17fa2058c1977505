/** Measurements of a server as a report. */
import { availableParallelism } from 'node:os'
import { describeMachine } from '../machine.js'
import type { RecordRow, Report, ReportSection } from '../report.js'
import { median, ratioOfMedians, summarize, type Ratio } from '../statistics.js'
import { lineChart, stackedBars } from '../svg.js'
import type { ServerComparison, ComparisonLevel, Turn } from './comparison.js'
import {
  addedBy, aroundInference, nameOfLevel, type RequestEncoding, type EncodingResult, type ServedLevel, type ServeResults,
} from './index.js'
import { cpuRecord, cpuSection } from './report-cpu.js'
import { FLAT, lengthOf, signedPercent, soakRecords, soakSection, trendsOf, unproven } from './report-soak.js'

/** Milliseconds. */
const ADDED_TARGETS: Partial<Record<RequestEncoding, number>> = { raw: 1, base64: 2, 'bytes-literal': 2 }
const NESTED_LIST_TARGET = 40
/** Percentile that other programs on the machine disturb least. */
const UNDISTURBED = 10
const STALL_TARGET = 10
const SATURATION_TARGET = 0.9
const TAIL_TARGET = 2
const PEER_TARGET = 3

export function reportServe(
  results: ServeResults, percentiles: readonly number[], settings: Report['settings'],
): Report {
  const { task, levels, soak } = results
  const cpu = cpuSection(levels)
  return {
    bench: 'serve',
    title: 'Requests over HTTP',
    machine: describeMachine(),
    settings: { ...settings, jpegBytes: results.jpegBytes },
    records: [
      ...results.encodings.map((result) => toEncodingRecord(results, result)),
      ...results.levels.map((level) => toLevelRecord(results, level, percentiles)),
      ...(soak ? soakRecords(task, soak) : []),
      ...results.comparisons.flatMap(({ levels }) => levels.map((level) => toComparisonRecord(results, level))),
    ],
    sections: [
      ...(results.encodings.length > 0 ? [encodingSection(results)] : []),
      ...(results.levels.length > 0 ? [levelSection(results, percentiles)] : []),
      ...(cpu ? [cpu] : []),
      ...(soak ? [soakSection(soak)] : []),
      ...results.comparisons.map((comparison) => comparisonSection(results, comparison)),
      targetSection(results),
    ],
  }
}

function encodingSection({ task, encodings, jpegBytes }: ServeResults): ReportSection {
  return {
    title: `${task}, one client, a 1280×720 JPEG of ${kilobytes(jpegBytes)}: median milliseconds`,
    plots: [stackedBars('One request: the library call, and what HTTP and the hand-over add', { label: 'milliseconds' },
      encodings.map((result) => ({
        name: result.encoding,
        parts: [
          { name: 'library', value: totalOf(result.library) },
          { name: 'added', value: Math.max(0, addedBy(result)) },
        ],
      })))],
    table: {
      columns: [
        { title: 'ENCODING' },
        ...right('BODY', 'REQUESTS', 'SERVED', 'LIBRARY', 'ADDED', 'ADDED, p10', 'AROUND INFERENCE'),
      ],
      rows: encodings.map((result) => [
        result.encoding, kilobytes(result.bytes), String(result.served.length), totalOf(result.served).toFixed(2),
        totalOf(result.library).toFixed(2), addedBy(result).toFixed(2),
        addedBy(result, UNDISTURBED).toFixed(2), aroundInference(result).toFixed(2),
      ]),
    },
    notes: [
      'Library and server were asked in turns of half a second, with one thread each; the library is given the file, ' +
        'and for a nested list the pixels. ' +
        'ADDED, p10: between the 10th percentiles, which other programs disturb least. ' +
        'AROUND INFERENCE: the request without the worker\'s own inference and postprocessing.',
    ],
  }
}

function levelSection({ levels }: ServeResults, percentiles: readonly number[]): ReportSection {
  const curve = levels.filter(({ level }) => 'concurrency' in level)
  const encodings = [...new Set(curve.map(({ encoding }) => encoding))]
  const at = (encoding: RequestEncoding, value: (level: ServedLevel) => number): Array<readonly [number, number]> =>
    curve.filter((level) => level.encoding === encoding)
      .map((level) => ['concurrency' in level.level ? level.level.concurrency : 0, value(level)] as const)
  return {
    title: 'Under load, latency in milliseconds',
    plots: encodings.length === 0 ? [] : [
      lineChart('Requests a second', { label: 'concurrency', whole: true }, { label: 'requests/s' },
        encodings.map((encoding) => ({ name: encoding, points: at(encoding, (level) => level.requestsPerSecond) }))),
      lineChart('Latency', { label: 'concurrency', whole: true }, { label: 'milliseconds' },
        encodings.flatMap((encoding) => [50, 99].map((percent) => ({
          name: `${encoding} p${percent}`, points: at(encoding, (level) => percentileOf(level, percent)),
        })))),
    ],
    table: {
      columns: [
        { title: 'ENCODING' }, { title: 'LEVEL' }, ...right(
          'REQUESTS/S', ...percentiles.map((percent) => `p${percent}`), 'ERRORS', 'LONGEST STALL', 'p99 STALL',
        ),
        { title: 'STEADY' },
      ],
      rows: levels.map((result) => [
        result.encoding, nameOfLevel(result.level) + (result.atEightyPercent ? ' (80 %)' : ''),
        result.requestsPerSecond.toFixed(1),
        ...percentiles.map((percent) => percentileOf(result, percent).toFixed(1)), String(result.errors),
        result.server?.longestStall.toFixed(1) ?? '', result.server?.p99Stall.toFixed(1) ?? '',
        result.stable ? 'yes' : 'no',
      ]),
    },
    notes: [
      'STALL: how late the server\'s event loop was, beyond its timer.',
      ...levels.flatMap(({ encoding, level, errors, firstError }) =>
        errors > 0 && firstError !== undefined ? [`${encoding}, ${nameOfLevel(level)}: ${firstError}`] : []),
    ],
  }
}

function comparisonSection({ task }: ServeResults, { name, agreement, levels }: ServerComparison): ReportSection {
  return {
    title: `${task} compared with ${name}, in turns: medians of the rounds`,
    table: {
      columns: [
        { title: 'OUR ENCODING' }, { title: 'LEVEL' },
        ...right('REQUESTS/S', 'THEIRS', 'RATIO (QUARTILES)', 'p50, ms', 'THEIRS, ms', 'RATIO (QUARTILES)'),
      ],
      rows: levels.map(({ encoding, level, ours, theirs }) => [
        encoding, nameOfLevel(level), rateOf(ours).toFixed(1), rateOf(theirs).toFixed(1),
        showRatio(rateRatio(ours, theirs)),
        latencyOf(ours).toFixed(1), latencyOf(theirs).toFixed(1),
        showRatio(ratioOfMedians(ours.map(({ latency }) => latency), theirs.map(({ latency }) => latency))),
      ]),
    },
    notes: [
      `The other server is always sent the bytes literal. Both found ${agreement.common} objects` +
        `${agreement.apart > 0 ? `, and ${agreement.apart} only one of them` : ''}; the least IoU is ` +
        `${agreement.leastIou.toFixed(3)}, the greatest difference of scores ` +
        `${agreement.greatestScoreDifference.toFixed(3)}.`,
    ],
  }
}

function rateOf(turns: readonly Turn[]): number {
  return median(turns.map(({ requestsPerSecond }) => requestsPerSecond))
}

function latencyOf(turns: readonly Turn[]): number {
  return median(turns.map(({ latency }) => latency))
}

function rateRatio(ours: readonly Turn[], theirs: readonly Turn[]): Ratio {
  return ratioOfMedians(
    ours.map(({ requestsPerSecond }) => requestsPerSecond), theirs.map(({ requestsPerSecond }) => requestsPerSecond))
}

function showRatio({ median: ratio, lowerQuartile, upperQuartile }: Ratio): string {
  return `${ratio.toFixed(2)} (${lowerQuartile.toFixed(2)}–${upperQuartile.toFixed(2)})`
}

function targetSection(results: ServeResults): ReportSection {
  const rows: string[][] = []
  const judge = (name: string, value: number, holds: boolean, shown: string): void => {
    if (Number.isFinite(value)) rows.push([name, shown, holds ? 'holds' : 'missed'])
  }
  for (const result of results.encodings) {
    const target = ADDED_TARGETS[result.encoding]
    const added = addedBy(result)
    if (target !== undefined) {
      judge(`added to ${result.encoding} ≤ ${target.toFixed(1)} ms`, added, added <= target, added.toFixed(2))
    }
    if (result.encoding === 'nested-list') {
      const before = aroundInference(result)
      judge(`nested list ≤ ${NESTED_LIST_TARGET} ms around inference`, before, before <= NESTED_LIST_TARGET,
        before.toFixed(1))
    }
  }
  const saturation = saturationOf(results)
  if (saturation !== undefined) {
    const { result, share, ideal, cores } = saturation
    const left = share * cores / (cores - result.loaderCpu)
    const shown = `${result.requestsPerSecond.toFixed(1)} of ${ideal.toFixed(1)}: ${share.toFixed(2)} ` +
      `(${left.toFixed(2)} of what the loader left)`
    const name = `${results.task}: requests/s at saturation ≥ ${SATURATION_TARGET} × cores ÷ library time ` +
      `(${result.encoding})`
    judge(name, share, share >= SATURATION_TARGET, shown)
    const stall = result.server?.longestStall ?? Number.NaN
    judge(`longest stall at saturation ≤ ${STALL_TARGET} ms`, stall, stall <= STALL_TARGET, stall.toFixed(1))
  }
  for (const { name, levels } of results.comparisons) {
    for (const encoding of new Set(levels.map((level) => level.encoding))) {
      // Turns of one encoding only: those of another were at another time.
      const inTurns = levels.filter((level) => level.encoding === encoding)
      const ratio = Math.max(...inTurns.map(({ ours }) => rateOf(ours))) /
        Math.max(...inTurns.map(({ theirs }) => rateOf(theirs)))
      judge(
        `requests/s at saturation ≥ ${PEER_TARGET} × ${name} (${encoding})`,
        ratio, ratio >= PEER_TARGET, ratio.toFixed(2),
      )
    }
  }
  for (const level of results.levels.filter(({ atEightyPercent }) => atEightyPercent)) {
    const tail = percentileOf(level, 99) / percentileOf(level, 50)
    // Where requests pile up they are all late alike.
    const shown = level.stable ? tail.toFixed(2) : 'the load was not steady'
    judge(`p99 ≤ ${TAIL_TARGET} × p50 at 80 % load (${level.encoding})`, tail,
      level.stable && tail <= TAIL_TARGET, shown)
  }
  if (results.soak !== undefined) {
    const { duration } = results.soak
    const why = unproven(results.soak)
    for (const { name, change } of trendsOf(results.soak)) {
      judge(`memory over ${lengthOf(duration)} within ±${100 * FLAT} % (${name})`, change,
        why === undefined && Math.abs(change) <= FLAT, signedPercent(change) + (
          why === undefined ? '' : `, but ${why}`
        ))
    }
  }
  return {
    title: 'Targets',
    table: { columns: [{ title: 'TARGET' }, { title: 'MEASURED', align: 'right' }, { title: 'OUTCOME' }], rows },
  }
}

/** The level with the most requests a second, of the first encoding that was loaded and whose library time is known. */
function saturationOf({ encodings, levels }: ServeResults): {
  result: ServedLevel
  cores: number
  ideal: number
  share: number
} | undefined {
  const encoding = levels[0]?.encoding
  const library = encodings.find((result) => result.encoding === encoding)?.library
  if (library === undefined || library.length === 0) return undefined
  const [result] = levels.filter((level) => level.encoding === encoding && !level.atEightyPercent)
    .sort((a, b) => b.requestsPerSecond - a.requestsPerSecond)
  if (result === undefined) return undefined
  const cores = availableParallelism()
  const ideal = cores * 1000 / totalOf(library)
  return { result, cores, ideal, share: result.requestsPerSecond / ideal }
}

function toEncodingRecord({ task }: ServeResults, result: EncodingResult): RecordRow {
  return {
    kind: 'form', task, form: result.encoding, body_bytes: result.bytes, requests: result.served.length,
    served_p50_ms: totalOf(result.served), library_p50_ms: totalOf(result.library), added_ms: addedBy(result),
    added_p10_ms: addedBy(result, UNDISTURBED),
    around_inference_ms: aroundInference(result),
  }
}

function toComparisonRecord({ task }: ServeResults, { encoding, level, ours, theirs }: ComparisonLevel): RecordRow {
  const { median: rate_ratio, lowerQuartile, upperQuartile } = rateRatio(ours, theirs)
  return {
    kind: 'beside', task, form: encoding,
    ...('concurrency' in level ? { concurrency: level.concurrency } : { request_rate: level.requestRate }),
    requests_per_second: rateOf(ours), peer_requests_per_second: rateOf(theirs), rate_ratio,
    rate_ratio_lower_quartile: lowerQuartile, rate_ratio_upper_quartile: upperQuartile,
    p50_ms: latencyOf(ours), peer_p50_ms: latencyOf(theirs),
  }
}

function toLevelRecord({ task }: ServeResults, result: ServedLevel, percentiles: readonly number[]): RecordRow {
  const { encoding, level, requestsPerSecond, latencies, errors, stable, loaderCpu, server, atEightyPercent } = result
  return {
    kind: 'level', task, form: encoding,
    ...('concurrency' in level ? { concurrency: level.concurrency } : { request_rate: level.requestRate }),
    eighty_percent: String(atEightyPercent), requests: latencies.length, errors, requests_per_second: requestsPerSecond,
    ...Object.fromEntries(percentiles.map((percent) => [`p${percent}_ms`, percentileOf(result, percent)])),
    steady: String(stable), loader_cpu_cores: loaderCpu, ...cpuRecord(result),
    ...(server && { longest_stall_ms: server.longestStall, p99_stall_ms: server.p99Stall }),
  }
}

function percentileOf({ latencies }: ServedLevel, percent: number): number {
  return summarize(latencies, [percent]).percentiles[percent] ?? Number.NaN
}

function totalOf(measured: EncodingResult['served']): number {
  return median(measured.map(({ total }) => total))
}

function right(...titles: string[]): { title: string; align: 'right' }[] {
  return titles.map((title) => ({ title, align: 'right' }))
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`
}
