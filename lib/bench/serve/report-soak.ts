/** A soak as a part of the report: memory over time, and whether it grew. */
import type { TaskName } from '../../tasks/index.js'
import type { RecordRow, ReportSection } from '../report.js'
import { median, slope, summarize } from '../statistics.js'
import { lineChart } from '../svg.js'
import type { Soak, SoakSample } from './soak.js'

/** Memory of one party, without pages of files. */
interface Trend {
  name: string
  /** Medians of the first and of the last third of the time, bytes. */
  first: number
  last: number
  /** How much more the last is, as a share. */
  change: number
  /** Bytes an hour. */
  slope: number
}

const SHOWN_MINUTES = 10
const MEGABYTE = 1e6
/** The last third is to be within this share of the first. */
export const FLAT = 0.03

const PARTIES: readonly (readonly [name: string, bytes: (sample: SoakSample) => number])[] = [
  ['server', ({ server }) => server.own],
  ['workers', ({ workers }) => workers.own],
  ['together', ({ server, workers }) => server.own + workers.own],
]

export function trendsOf({ samples }: Soak): Trend[] {
  const third = Math.floor(samples.length / 3)
  return PARTIES.map(([name, bytes]) => {
    const first = median(samples.slice(0, third).map(bytes))
    const last = median(samples.slice(-third).map(bytes))
    const hourly = slope(samples.map((sample) => [sample.at / 3600, bytes(sample)] as const))
    return { name, first, last, change: last / first - 1, slope: hourly }
  })
}

/** Why the soak tells nothing of the memory: undefined where the load was kept up by the same processes throughout. */
export function unproven({ latencies, requestRate, duration, lostWorkers }: Soak): string | undefined {
  if (latencies.length < 0.99 * requestRate * duration) return 'the load was not kept up'
  return lostWorkers > 0 ? 'a worker ended, and its memory with it' : undefined
}

export function soakSection(soak: Soak): ReportSection {
  const { samples, requestRate, duration, latencies, errors, firstError, lostWorkers } = soak
  const inMinutes = duration > SHOWN_MINUTES * 60
  const places = (bytes: (sample: SoakSample) => number): (readonly [number, number])[] =>
    samples.map((sample) => [inMinutes ? sample.at / 60 : sample.at, bytes(sample) / MEGABYTE] as const)
  const { percentiles: { 50: p50, 99: p99 } } = summarize(latencies, [50, 99])
  return {
    title: `Memory over ${lengthOf(duration)} at ${requestRate.toFixed(0)} requests/s`,
    plots: [lineChart('Memory without pages of files', { label: inMinutes ? 'minutes' : 'seconds' }, { label: 'MB' },
      PARTIES.map(([name, bytes]) => ({ name, points: places(bytes) })))],
    table: {
      columns: [
        { title: 'MEMORY' },
        ...['FIRST THIRD, MB', 'LAST THIRD, MB', 'CHANGE', 'SLOPE, MB/h', 'PSS AT END, MB', 'RSS AT END, MB'].map(
          (title) => ({ title, align: 'right' as const })),
      ],
      rows: trendsOf(soak).map(({ name, first, last, change, slope: hourly }) => [
        name, megabytes(first), megabytes(last), signedPercent(change), (hourly / MEGABYTE).toFixed(1),
        megabytes(atEnd(soak, name, 'proportional')), megabytes(atEnd(soak, name, 'resident')),
      ]),
    },
    notes: [
      `${latencies.length} requests were answered (${(latencies.length / duration).toFixed(1)} a second), ` +
        `p50 ${p50?.toFixed(1)} ms, p99 ${p99?.toFixed(1)} ms; ${errors} failed` +
        `${firstError === undefined ? '' : `, the first: ${firstError}`}; ` +
        `${lostWorkers} worker${lostWorkers === 1 ? '' : 's'} ended. ` +
        'Memory is what is no page of a file, shared memory counted once (Pss_Anon + Pss_Shmem); ' +
        'thirds are compared by the median of their samples; the slope is that of the straight line nearest to ' +
        'all of ' +
        'them, of little meaning over a short time.',
    ],
  }
}

export function soakRecords(task: TaskName, soak: Soak): RecordRow[] {
  const { requestRate, duration, latencies, errors, samples } = soak
  return [
    ...trendsOf(soak).map((trend): RecordRow => ({
      kind: 'soak', task, party: trend.name, seconds: duration, request_rate: requestRate,
      requests: latencies.length, errors,
      first_third_bytes: trend.first, last_third_bytes: trend.last, change: trend.change,
      slope_bytes_per_hour: trend.slope,
    })),
    ...samples.map(({ at, server, workers }): RecordRow => ({
      kind: 'soak sample', task, at_seconds: at, server_bytes: server.own, server_pss_bytes: server.proportional,
      server_rss_bytes: server.resident, workers_bytes: workers.own, workers_pss_bytes: workers.proportional,
      workers_rss_bytes: workers.resident,
    })),
  ]
}

export function lengthOf(seconds: number): string {
  return seconds >= 120 ? `${(seconds / 60).toFixed(0)} min` : `${seconds.toFixed(0)} s`
}

export function signedPercent(share: number): string {
  return `${share < 0 ? '−' : '+'}${(100 * Math.abs(share)).toFixed(1)} %`
}

function atEnd({ samples }: Soak, party: string, kind: 'proportional' | 'resident'): number {
  const { server, workers } = samples.at(-1) as SoakSample
  return (party === 'workers' ? 0 : server[kind]) + (party === 'server' ? 0 : workers[kind])
}

function megabytes(bytes: number): string {
  return (bytes / MEGABYTE).toFixed(1)
}
