/** Who uses the cores under load: as a part of the report. */
import type { RecordRow, ReportSection } from '../report.js'
import { stackedBars } from '../svg.js'
import { nameOfLevel, type ServedLevel } from './index.js'

interface Shares {
  server: number
  workers: number
  loader: number
}

const PARTIES = ['server', 'workers', 'loader'] as const

/** Undefined where no level was of a server that the bench started. */
export function cpuSection(levels: readonly ServedLevel[]): ReportSection | undefined {
  const rows = levels.flatMap((level) => {
    const shares = sharesOf(level)
    return shares ? [{ level, shares }] : []
  })
  if (rows.length === 0) return undefined
  return {
    title: 'CPU under load, cores',
    plots: [stackedBars('Cores in use', { label: 'cores' }, rows.map(({ level, shares }) => ({
      name: nameOf(level), parts: PARTIES.map((name) => ({ name, value: shares[name] })),
    })))],
    table: {
      columns: [
        { title: 'ENCODING, LEVEL' },
        ...['SERVER', 'WORKERS', 'LOADER', 'SERVER, ms/request', 'WORKERS, ms/request', 'LOADER, ms/request'].map(
          (title) => ({ title, align: 'right' as const })),
      ],
      rows: rows.map(({ level, shares }) => [
        nameOf(level), ...PARTIES.map((name) => shares[name].toFixed(2)),
        ...PARTIES.map((name) => perRequest(level, shares[name]).toFixed(2)),
      ]),
    },
    notes: ['SERVER is the HTTP process. The loader runs on the same cores: what it uses, the workers do not have.'],
  }
}

export function cpuRecord(level: ServedLevel): RecordRow {
  const shares = sharesOf(level)
  return shares === undefined ? {} : Object.fromEntries(PARTIES.flatMap((name) => [
    [`${name}_cpu_cores`, shares[name]], [`${name}_cpu_ms_per_request`, perRequest(level, shares[name])],
  ]))
}

function sharesOf({ server, loaderCpu }: ServedLevel): Shares | undefined {
  return server && { server: server.cpu, workers: server.workersCpu, loader: loaderCpu }
}

function perRequest({ requestsPerSecond }: ServedLevel, cores: number): number {
  return requestsPerSecond > 0 ? cores * 1000 / requestsPerSecond : 0
}

function nameOf({ encoding, level, atEightyPercent }: ServedLevel): string {
  return `${encoding}, ${nameOfLevel(level)}${atEightyPercent ? ' (80 %)' : ''}`
}
