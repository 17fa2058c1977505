import { performance } from 'node:perf_hooks'
import { capacityOf, type NodeCapacity } from './capacity.js'
import { OwnGroups } from './cgroup/own-groups.js'
import { CpuMeter } from './cpu.js'
import { toFlatStatus, type DeviceState, type FlatStatus } from './device-state.js'
import type { GpuFigures } from './gpu-figures.js'
import { GpuMonitor } from './gpu.js'
import type { NvidiaSmiTiming } from './gpu-nvidia.js'
import { HostFiles } from './host-files.js'
import { memoryRatio, readMemInfo, swapRatio, type BytesInUse } from './memory.js'
import { NetworkMeter } from './network.js'
import { gigabytes, mean, percentOf, Rate, rounded } from './numbers.js'
import { ProcessMeter, type ProcessUse } from './process-meter.js'

const GROUPS_REFRESH_MS = 10_000
/** The first figures are means since boot, or 0; the second sample follows this soon. */
const SECOND_SAMPLE_MS = 100

export interface SamplerOptions {
  /** Milliseconds between samples. */
  intervalMs?: number
  /** Where `/proc` and `/sys` are found. */
  root?: string
  /** Folders `nvidia-smi` is looked for in, as in `PATH`. */
  searchPath?: string
  nvidiaSmi?: Partial<NvidiaSmiTiming>
  /** A monotonic clock, milliseconds. */
  now?: () => number
}

export interface Sampler extends Disposable {
  /** The last sample. It is never changed afterwards. */
  current(): DeviceState
  /** The last sample in the shape of the older nodes. */
  flat(): FlatStatus
  sampleNow(): DeviceState
  /** Sample that process too. A watched pid costs one small file a sample. */
  watch(pid: number): void
  unwatch(pid: number): void
  /** The last sample of a watched process; `undefined` once it has gone. */
  process(pid: number): ProcessUse | undefined
  /** What ratios are of: what this node may use of its machine, as of the last sample. */
  capacity(): NodeCapacity
  stop(): void
}

/** What this process, and those it starts, may use of the machine now. */
export function readCapacity(files = new HostFiles()): NodeCapacity {
  const { memoryNodes, allowance } = new OwnGroups(files)
  const cpus = [...new CpuMeter(files).sample().keys()]
  return capacityOf({ cpus, memoryNodes, memoryBytes: readMemInfo(files).total }, allowance)
}

/** What may be used of the memory, and is: of the machine's, or of this process's groups' where that is less. */
export function readMemoryInUse(files = new HostFiles()): BytesInUse {
  const { total, available } = readMemInfo(files)
  const [machine, groups] = [{ limit: total, used: total - available }, new OwnGroups(files).memory()]
  return groups && groups.limit - groups.used < machine.limit - machine.used ? groups : machine
}

/** Samples this machine in the background. The first sample is there on return; nothing keeps the program alive. */
export function createSampler(options: SamplerOptions = {}): Sampler {
  const { intervalMs = 1000, root = '/', searchPath = process.env['PATH'] ?? '' } = options
  const now = options.now ?? (() => performance.now())
  const files = new HostFiles(root)
  const groups = new OwnGroups(files)
  const cpu = new CpuMeter(files)
  const network = new NetworkMeter(files)
  const gpus = new GpuMonitor(files, { searchPath, now, timing: options.nvidiaSmi })
  const processes = new ProcessMeter(files)
  const quotaUse = new Rate()
  let groupsReadMs = now()
  let capacity: NodeCapacity = { cores: 1, memoryBytes: 0, cpus: [], memoryNodes: [] }

  /** Under a quota the time may be spent on any core: then each entry is the part of the quota in use. */
  function cpuRatio(percents: ReadonlyMap<number, number>, nowMs: number): number[] {
    const cores = capacity.cpus.flatMap((cpu) => percents.get(cpu) ?? [])
    if (capacity.cores >= cores.length) return cores
    const usedSeconds = groups.cpuSeconds()
    const percent = usedSeconds === undefined
      ? mean(cores)
      : percentOf(quotaUse.update(usedSeconds, nowMs), capacity.cores)
    return new Array<number>(Math.ceil(capacity.cores)).fill(rounded(percent, 1))
  }

  function sample(): DeviceState {
    const nowMs = now()
    if (nowMs - groupsReadMs >= GROUPS_REFRESH_MS) {
      groups.refresh()
      groupsReadMs = nowMs
    }
    const percents = cpu.sample()
    const machine = readMemInfo(files)
    const { memoryNodes, allowance } = groups
    capacity = capacityOf({ cpus: [...percents.keys()], memoryNodes, memoryBytes: machine.total }, allowance)
    processes.sample(nowMs, capacity)
    return {
      cpu_ratio: cpuRatio(percents, nowMs),
      n_cpu: Math.ceil(capacity.cores),
      mem_ratio: memoryRatio(machine, groups.memory()),
      mem_total: gigabytes(capacity.memoryBytes),
      'net_ratio(MBps)': network.sample(nowMs),
      swap_ratio: swapRatio(machine, groups.swap()),
      ...gpuState(gpus.figures(machine)),
    }
  }

  let state = sample()
  const sampleNow = (): DeviceState => (state = sample())
  const soon = setTimeout(sampleNow, Math.min(SECOND_SAMPLE_MS, intervalMs)).unref()
  const timer = setInterval(sampleNow, intervalMs).unref()

  function stop(): void {
    clearTimeout(soon)
    clearInterval(timer)
    gpus.stop()
  }

  return {
    current: () => state,
    flat: () => toFlatStatus(state),
    sampleNow,
    watch: pid => processes.watch(pid, now(), capacity),
    unwatch: pid => processes.unwatch(pid),
    process: pid => processes.use(pid),
    capacity: () => capacity,
    stop,
    [Symbol.dispose]: stop,
  }
}

type GpuState = Pick<DeviceState, 'gpu_mem' | 'gpu_utilization' | 'gpu_mem_total'>

function gpuState(gpus: ReadonlyMap<string, GpuFigures>): GpuState {
  const state: GpuState = { gpu_mem: {}, gpu_utilization: {}, gpu_mem_total: {} }
  for (const [index, { memory, memoryTotalBytes, utilization }] of gpus) {
    if (memory !== undefined) state.gpu_mem[index] = rounded(memory, 4)
    if (utilization !== undefined) state.gpu_utilization[index] = utilization
    if (memoryTotalBytes !== undefined) state.gpu_mem_total[index] = gigabytes(memoryTotalBytes)
  }
  return state
}
