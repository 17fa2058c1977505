/** What a measurement was made on: without it a figure says nothing. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { loadRuntime, native } from '../native.js'

export interface MachineInfo {
  /** ISO 8601. */
  date: string
  cpu: string
  /** Logical cores that this process may use. */
  cores: number
  memoryGigabytes: number
  /** Processes that wanted a core in the minute before: other work on the machine spoils figures. */
  loadAverage: number
  platform: string
  node: string
  edgeInfer: string
  onnxruntime: string
  opencv: string
  compiler: string
}

/** @throws EdgeInferError RUNTIME_UNAVAILABLE. */
export function describeMachine(runtimeLibrary?: string): MachineInfo {
  const versions = native.versions()
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGigabytes: Number((totalmem() / 1e9).toFixed(1)),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
    platform: `${process.platform} ${process.arch}, kernel ${release()}`,
    node: process.version,
    edgeInfer: packageVersion(),
    onnxruntime: loadRuntime(runtimeLibrary).version,
    opencv: versions.opencv,
    compiler: versions.compiler,
  }
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
