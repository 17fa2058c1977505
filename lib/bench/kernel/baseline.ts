/** The baseline: decode and `session.run` in C++ with nothing around them, as a bench target. */
import { loadRuntime } from '../../native.js'
import type { Detector } from '../../tasks/index.js'
import { TargetProcess } from '../target-process.js'
import { buildNativeProgram } from '../native-program.js'

/** How the library runs a model on a picture, for others to run the same. */
export interface ModelConfig {
  /** Name in the catalogue. */
  model: string
  paths: readonly string[]
  /** Pixels. */
  inputSize: { width: number; height: number }
}

export interface BaselineOptions {
  config: ModelConfig
  image: string
  threads: number
  /** `session.run`s a frame. */
  runs: number
  signal?: AbortSignal | undefined
}

const PROGRAM = 'edge_infer_baseline'

/** @throws EdgeInferError RUNTIME_UNAVAILABLE where it cannot be built. */
export async function startBaseline({ config, image, threads, runs, signal }: BaselineOptions): Promise<TargetProcess> {
  const program = await buildNativeProgram(PROGRAM, signal)
  return TargetProcess.start('baseline', program, [
    `library=${loadRuntime().path}`,
    ...config.paths.map((path) => `model=${path}`),
    `image=${image}`,
    `threads=${threads}`,
    `runs=${runs}`,
    `width=${config.inputSize.width}`,
    `height=${config.inputSize.height}`,
  ])
}

export function configOf(model: Detector['model'], frame: ModelConfig['inputSize']): ModelConfig {
  return { model: model.entry.name, paths: model.paths, inputSize: model.inputSizeFor(frame.width, frame.height) }
}
