/** The spread of a model's values over pictures, prepared as its task prepares them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EdgeInferError, writeError } from '../../errors.js'
import { native, type TensorStatistics } from '../../native.js'
import type { OnnxModel } from '../onnx/model.js'
import type { CatalogEntry } from '../types.js'

export interface CalibrationOptions {
  /** Encoded pictures, read one at a time. */
  pictures: readonly (() => Promise<Uint8Array>)[]
  threads: number
  inputSize: { width: number; height: number } | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** Of each tensor. @throws EdgeInferError BAD_IMAGE, MODEL_LOAD, INFERENCE, ABORTED. */
export async function calibrateTensors(
  model: OnnxModel, entry: CatalogEntry, tensors: readonly string[], options: CalibrationOptions,
): Promise<Map<string, TensorStatistics>> {
  const directory = await mkdtemp(join(tmpdir(), 'edge-infer-calibration-'))
  try {
    const path = join(directory, 'calibration.onnx')
    const [input] = model.inputs as [OnnxModel['inputs'][number]]
    const shape = (input.shape ?? []).map((side, index) => side ?? `side_${index}`)
    await writeFile(path, model.rewired(tensors, { name: input.name, shape }))
      .catch((cause: Error) => { throw writeError(path, cause) })
    return await statisticsOf(path, entry, tensors, options)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function statisticsOf(
  path: string, entry: CatalogEntry, tensors: readonly string[],
  { pictures, threads, inputSize, signal, onProgress }: CalibrationOptions,
): Promise<Map<string, TensorStatistics>> {
  const session = await native.createSession({
    modelPaths: [path],
    family: entry.family,
    preprocessing: entry.preprocessing,
    inputSize,
    calibration: true,
    device: { kind: 'cpu', index: 0 },
    fallbackToCpu: false,
    intraOpThreads: threads,
    allowSpinning: false,
    concurrency: 1,
  })
  try {
    for (const [index, read] of pictures.entries()) {
      if (signal?.aborted) {
        throw new EdgeInferError('ABORTED', 'The calibration was interrupted', { cause: signal.reason })
      }
      onProgress?.(index, pictures.length)
      await session.calibrate({ kind: 'encoded', data: await read(), autoOrient: true }, index)
    }
    const statistics = await session.statistics()
    return new Map(tensors.map((name, index) => [name, statistics[index] as TensorStatistics]))
  } finally {
    await session.close()
  }
}
