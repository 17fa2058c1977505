/**
 * Static quantisation to 8-bit whole numbers: activations with levels of their own for each tensor, found on pictures;
 * weights with a scale for each channel; the last convolutions of each head in float.
 */
import { readFile } from 'node:fs/promises'
import { EdgeInferError } from '../../errors.js'
import type { Preprocessing, TensorStatistics } from '../../native.js'
import { findModel } from '../catalog.js'
import { FAMILY_KEY, MODEL_KEY } from '../metadata.js'
import { OnnxModel, type OnnxNode } from '../onnx/model.js'
import { upgraded } from '../onnx/opset.js'
import type { CatalogEntry } from '../types.js'
import { calibrateTensors, type CalibrationOptions } from './calibrate.js'
import { folded } from './fold.js'
import { fittingLevels, levelsBetween, type Levels } from './levels.js'
import { planQuantization, type QuantizationPlan } from './plan.js'
import { withLevels } from './rewrite.js'
import { rankLayers, type Layer } from './sensitivity.js'

export type { Layer } from './sensitivity.js'

export interface QuantizeOptions extends Omit<CalibrationOptions, 'inputSize'> {
  /** Weights of 7 bits, for processors that add two products in 16 bits. */
  reduceRange?: boolean | undefined
}

export interface QuantizedModel {
  file: Buffer
  /** Convolutions: all, and those in whole numbers. */
  convolutions: { all: number; quantized: number }
}

const UNIT_INTERVAL = levelsBetween(0, 1)
const DARKEST = 0
const BRIGHTEST = 255
/** Enough to rank layers by, few enough to do it for each. */
const RANKING_PICTURES = 4

/** A model that has been calibrated: the spread of its values over pictures is known. */
export class Quantizer {
  readonly #model: OnnxModel
  readonly #entry: CatalogEntry
  readonly #plan: QuantizationPlan
  readonly #levels: ReadonlyMap<string, Levels>
  readonly #options: QuantizeOptions

  private constructor(
    model: OnnxModel, entry: CatalogEntry, plan: QuantizationPlan, levels: ReadonlyMap<string, Levels>,
    options: QuantizeOptions,
  ) {
    this.#model = model
    this.#entry = entry
    this.#plan = plan
    this.#levels = levels
    this.#options = options
  }

  /**
   * @throws EdgeInferError NOT_QUANTIZED where the graph does not allow it, MODEL_LOAD, BAD_IMAGE, INFERENCE, ABORTED.
   */
  static async calibrate(entry: CatalogEntry, path: string, options: QuantizeOptions): Promise<Quantizer> {
    const model = await readModel(path)
    const plan = planQuantization(model)
    if (convolutionsOf(plan.nodes) === 0) {
      throw notQuantized(path, 'none of its convolutions has constant weights and further layers behind it')
    }
    const calibrated = [...plan.tensors].filter(([, { by }]) => by === 'calibration').map(([name]) => name)
    const inputSize = openSize(model, entry)
    const statistics = await calibrateTensors(model, entry, calibrated, { ...options, inputSize })
    return new Quantizer(model, entry, plan, levelsOf(plan, statistics, entry.preprocessing), options)
  }

  /** The file, with the layers named left in float. */
  quantize(inFloat: readonly Layer[] = []): QuantizedModel {
    const plan = planQuantization(this.#model, { inFloat: new Set(inFloat.flat()) })
    const known = findModel(this.#entry.name) !== undefined
    return {
      file: withLevels(this.#model, plan, this.#levels, {
        reduceRange: this.#options.reduceRange ?? false,
        metadata: new Map([
          [FAMILY_KEY, this.#entry.family], ...(known ? [[MODEL_KEY, this.#entry.name] as const] : []),
        ]),
      }),
      convolutions: { all: convolutionsOf(this.#model.nodes), quantized: convolutionsOf(plan.nodes) },
    }
  }

  /** The layers, those first that lose most by being rounded. */
  rankLayers(onProgress?: CalibrationOptions['onProgress']): Promise<Layer[]> {
    return rankLayers(this.#model, this.#entry, this.#plan, this.#levels, {
      ...this.#options, onProgress, pictures: this.#options.pictures.slice(0, RANKING_PICTURES),
      inputSize: openSize(this.#model, this.#entry),
    })
  }
}

function convolutionsOf(nodes: Iterable<OnnxNode>): number {
  return [...nodes].filter(({ op }) => op === 'Conv').length
}

async function readModel(path: string): Promise<OnnxModel> {
  const bytes = await readFile(path)
  let model: OnnxModel
  try {
    model = new OnnxModel(bytes)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new EdgeInferError('MODEL_LOAD', `${path} is no ONNX model: ${reason}`, { cause })
  }
  if (model.inputs.length !== 1) {
    throw notQuantized(path, `one input is expected and it has ${model.inputs.length}`)
  }
  if (model.nodes.some(({ op }) => op === 'DequantizeLinear' || op === 'QLinearConv')) {
    throw notQuantized(path, 'it is quantised already')
  }
  try {
    return folded(upgraded(model))
  } catch (cause) {
    throw cause instanceof RangeError ? notQuantized(path, cause.message) : cause
  }
}

function notQuantized(path: string, reason: string): EdgeInferError {
  return new EdgeInferError('NOT_QUANTIZED', `${path} cannot be quantised: ${reason}`)
}

/** The size at which a model that leaves it open is calibrated, pixels. */
function openSize(model: OnnxModel, { input }: CatalogEntry): { width: number; height: number } | undefined {
  const isOpen = model.inputs[0]?.shape?.slice(2).some((side) => typeof side !== 'number') ?? true
  return isOpen && input ? { width: input.width, height: input.height } : undefined
}

function levelsOf(
  plan: QuantizationPlan, statistics: ReadonlyMap<string, TensorStatistics>, preprocessing: Preprocessing,
): Map<string, Levels> {
  const levels = new Map<string, Levels>()
  // In the graph's order: what takes another tensor's levels comes after it.
  for (const [name, choice] of plan.tensors) {
    switch (choice.by) {
      case 'calibration':
        levels.set(name, fittingLevels(statistics.get(name) as TensorStatistics, choice.through))
        break
      case 'tensor': levels.set(name, levels.get(choice.tensor) as Levels); break
      case 'preprocessing': levels.set(name, inputLevels(preprocessing)); break
      case 'unit interval': levels.set(name, UNIT_INTERVAL)
    }
  }
  return levels
}

function inputLevels({ mean, scale }: Preprocessing): Levels {
  const ends = mean.flatMap((value, channel) =>
    [DARKEST, BRIGHTEST].map((pixel) => (pixel - value) * (scale[channel] as number)))
  return levelsBetween(Math.min(...ends), Math.max(...ends))
}
