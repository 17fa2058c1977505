import { Type, type Static, type TSchema } from 'typebox'
import { clamp, mean, rounded } from './numbers.js'

const Percent = Type.Number({ minimum: 0, maximum: 100, description: 'Percent' })
const Share = Type.Number({ minimum: 0, maximum: 1, description: 'Share of its memory in use' })
const Cores = Type.Integer({ minimum: 0, description: 'Number of cores' })
const Gigabytes = Type.Number({ minimum: 0, description: 'GB (2^30 bytes)' })
const MegabytesPerSecond = Type.Number({ minimum: 0, description: 'MB (10^6 bytes) a second, received and sent' })

const byGpu = <Schema extends TSchema>(schema: Schema) =>
  Type.Record(Type.String(), schema, { description: "By the GPU's index; empty where there is none" })

/** What a node is doing, with the documented keys of section 4. */
export type DeviceState = Static<typeof DeviceStateSchema>

export const DeviceStateSchema = Type.Object({
  cpu_ratio: Type.Array(Percent, { description: 'Percent busy, one entry a core' }),
  n_cpu: Cores,
  mem_ratio: Percent,
  mem_total: Gigabytes,
  'net_ratio(MBps)': MegabytesPerSecond,
  swap_ratio: Percent,
  gpu_mem: byGpu(Share),
  gpu_utilization: byGpu(Percent),
  gpu_mem_total: byGpu(Gigabytes),
}, { $id: 'DeviceState', description: 'What the machine is doing' })

/** The status of nodes of the older kind: one flat object, units as in {@link DeviceState}. */
export type FlatStatus = Static<typeof FlatStatusSchema>

export const FlatStatusSchema = Type.Object({
  cpu_ratio: Type.Number({ description: 'Percent busy, mean of all cores' }),
  n_cpu: Cores,
  mem_total: Gigabytes,
  mem_ratio: Percent,
  swap_ratio: Percent,
  'net_ratio(MBps)': MegabytesPerSecond,
  gpu_mem_utilization: byGpu(Share),
  gpu_compute_utilization: byGpu(Percent),
  gpu_mem_total: byGpu(Gigabytes),
})

/** Bounds on what another node may claim. */
const MAX_CORES = 4096
const MAX_GPUS = 64
const MAX_GIGABYTES = 1e6
const MAX_MBPS = 1e6

export function toFlatStatus(state: DeviceState): FlatStatus {
  return {
    cpu_ratio: rounded(mean(state.cpu_ratio), 2),
    n_cpu: state.n_cpu,
    mem_total: state.mem_total,
    mem_ratio: state.mem_ratio,
    swap_ratio: state.swap_ratio,
    'net_ratio(MBps)': state['net_ratio(MBps)'],
    gpu_mem_utilization: state.gpu_mem,
    gpu_compute_utilization: state.gpu_utilization,
    gpu_mem_total: state.gpu_mem_total,
  }
}

/**
 * What another node said of itself, in the document's shape: a `device_state`, with the document's or the older names
 * of the GPUs' figures, or the flat status of an older node, whose one `cpu_ratio` becomes a list of one. The sender is
 * not trusted: what is missing or of a wrong type becomes 0 or empty, what is out of range is brought into it.
 * `undefined` when this is no status at all.
 */
export function parseDeviceState(status: unknown): DeviceState | undefined {
  if (!isRecord(status)) return undefined
  const cores = readCores(status['cpu_ratio'])
  const memoryRatio = readNumber(status['mem_ratio'], 100)
  if (cores === undefined && memoryRatio === undefined) return undefined
  const claimed = readNumber(status['n_cpu'], MAX_CORES) ?? 0
  return {
    cpu_ratio: cores ?? [0],
    n_cpu: Math.max(1, Math.round(claimed) || (cores?.length ?? 1)),
    mem_ratio: memoryRatio ?? 0,
    mem_total: readNumber(status['mem_total'], MAX_GIGABYTES) ?? 0,
    'net_ratio(MBps)': readNumber(status['net_ratio(MBps)'], MAX_MBPS) ?? 0,
    swap_ratio: readNumber(status['swap_ratio'], 100) ?? 0,
    gpu_mem: readGpus(status['gpu_mem'] ?? status['gpu_mem_utilization'], 1),
    gpu_utilization: readGpus(status['gpu_utilization'] ?? status['gpu_compute_utilization'], 100),
    gpu_mem_total: readGpus(status['gpu_mem_total'], MAX_GIGABYTES),
  }
}

function readCores(value: unknown): number[] | undefined {
  const values: readonly unknown[] = Array.isArray(value) ? value.slice(0, MAX_CORES) : [value]
  const cores = values.flatMap(core => readNumber(core, 100) ?? [])
  return cores.length > 0 ? cores : undefined
}

function readNumber(value: unknown, highest: number): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? clamp(value, 0, highest) : undefined
}

function readGpus(value: unknown, highest: number): Record<string, number> {
  if (!isRecord(value)) return {}
  const gpus: Record<string, number> = {}
  for (let index = 0; index < MAX_GPUS; index++) {
    const figure = readNumber(value[index], highest)
    if (figure !== undefined) gpus[index] = figure
  }
  return gpus
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
