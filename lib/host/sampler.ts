import { performance } from 'node:perf_hooks'
import { ContainerLimits } from './container.js'
import { CpuMeter } from './cpu.js'
import { toFlatStatus, type DeviceState, type FlatStatus } from './device-state.js'
import type { GpuFigures } from './gpu-figures.js'
import { GpuMonitor } from './gpu.js'
import type { NvidiaSmiTiming } from './gpu-nvidia.js'
import { HostFiles } from './host-files.js'
import { readMemInfo } from './meminfo.js'
import { memoryUse } from './memory.js'
import { NetworkMeter } from './network.js'
import { gigabytes, mean, percentOf, rounded } from './numbers.js'
import { ProcessMeter, type NodeCapacity, type ProcessUse } from './process-meter.js'
import { Rate } from './rate.js'
import { swapRatio } from './swap.js'

const LIMITS_REFRESH_MS = 10_000
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
  /** Cores (a quota may make it a fraction) and bytes that this node has. */
  capacity(): NodeCapacity
  stop(): void
}

/** Samples this machine in the background. The first sample is there on return; nothing keeps the program alive. */
export function createSampler(options: SamplerOptions = {}): Sampler {
  const { intervalMs = 1000, root = '/', searchPath = process.env['PATH'] ?? '' } = options
  const now = options.now ?? (() => performance.now())
  const files = new HostFiles(root)
  const limits = new ContainerLimits(files)
  const cpu = new CpuMeter(files)
  const network = new NetworkMeter(files)
  const gpus = new GpuMonitor(files, { searchPath, now, timing: options.nvidiaSmi })
  const processes = new ProcessMeter(files)
  const quotaUse = new Rate()
  let limitsReadMs = now()
  let capacity: NodeCapacity = { cpus: 1, memoryBytes: 0 }

  /** Under a quota the time may be spent on any core: then each entry is the part of the quota in use. */
  function sampleCpu(nowMs: number): { cores: number[]; cpus: number } {
    const cores = cpu.sample(limits.allowedCpus)
    const quota = limits.cpu()
    if (quota === undefined || quota.cpus >= cores.length) return { cores, cpus: Math.max(1, cores.length) }
    const percent = quota.usageSeconds === undefined
      ? mean(cores)
      : percentOf(quotaUse.update(quota.usageSeconds, nowMs), quota.cpus)
    return { cores: new Array<number>(Math.ceil(quota.cpus)).fill(rounded(percent, 1)), cpus: quota.cpus }
  }

  function sample(): DeviceState {
    const nowMs = now()
    if (nowMs - limitsReadMs >= LIMITS_REFRESH_MS) {
      limits.refresh()
      limitsReadMs = nowMs
    }
    const { cores, cpus } = sampleCpu(nowMs)
    const machine = readMemInfo(files)
    const memory = memoryUse(machine, limits.memory())
    capacity = { cpus, memoryBytes: memory.totalBytes }
    processes.sample(nowMs, capacity)
    return {
      cpu_ratio: cores,
      n_cpu: Math.ceil(cpus),
      mem_ratio: memory.ratio,
      mem_total: gigabytes(memory.totalBytes),
      'net_ratio(MBps)': network.sample(nowMs),
      swap_ratio: swapRatio(machine, limits.swap()),
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
