/** Makes an int8 file of a model, which is written when it is accurate enough. */
import { readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { compareSpeed, createJudge, type AccuracyChange, type JudgeOptions, type SpeedChange } from '../bench/index.js'
import { EdgeInferError } from '../errors.js'
import { Quantizer, removeVariant, type Layer, type QuantizedModel } from '../models/index.js'
import { resolveModel } from '../tasks/models.js'
import type { TaskName } from '../tasks/registry.js'
import { readCpuFeatures } from '../host/index.js'
import { interruptSignal } from './signals.js'
import { printLine, say, writeResult } from './output.js'
import { createProgressBar, type ProgressBar } from './progress.js'
import { picturesOf } from './run-inputs.js'
import { formatBytes, renderTable, wrap } from './table.js'

export interface QuantizeCommandOptions {
  calibrate: string
  labels?: string
  out?: string
  task?: TaskName
  maxLoss: number
  force?: boolean
  reduceRange?: boolean
  threads: number
  json?: boolean
}

/** A file that has been tried. */
interface Attempt {
  quantized: QuantizedModel
  accuracy: AccuracyChange[]
  /** Of the set that loses most. */
  loss: number
  /** Which of the attempts it is, from 1, and how many there were. */
  number: number
  of: number
  /** Those that are left in float on purpose. */
  layersInFloat: number
}

/** On x86, those without any of these add two products in 16 bits. */
const EXACT_PRODUCTS = ['avx512_vnni', 'avx_vnni', 'amx_int8']
/** Leaving more layers in float than this share leaves nothing to gain. */
const MAX_LAYERS_IN_FLOAT = 0.5

export async function quantize(name: string, options: QuantizeCommandOptions): Promise<void> {
  const signal = interruptSignal()
  const { entry, paths } = await resolveModel(name, { task: options.task })
  if (options.task !== undefined && entry.task !== options.task) {
    throw new EdgeInferError('BAD_OPTION', `Expected a model for ${options.task} but ${name} is one for ${entry.task}`)
  }
  const [path, ...others] = paths as [string, ...string[]]
  if (others.length > 0) {
    const message = `${name} is ${paths.length} files whose outputs are averaged; quantise each by its path: `
    throw new EdgeInferError('BAD_OPTION', message + paths.join(', '))
  }
  const target = await checkTarget(options.out ?? `${basename(path, '.onnx')}.int8.onnx`, path)
  const pictures = (await findPictures(options.calibrate)).map((picture) => picture.path)
  warnOfSaturation(options)
  const bar = createProgressBar('frames')
  const judged: JudgeOptions = {
    task: entry.task, model: path, pictures, labels: options.labels, threads: options.threads, signal,
    onProgress: (label, done, total) => bar.update(label, done, total),
  }
  const temporary = join(dirname(target), `.partial-${process.pid}-${basename(target)}`)
  try {
    const quantizer = await Quantizer.calibrate(entry, path, {
      pictures: pictures.map((picture) => () => readFile(picture)), threads: options.threads, signal,
      reduceRange: options.reduceRange, onProgress: (done, total) => bar.update('calibration', done, total),
    })
    const attempt = await findAccurate(quantizer, judged, temporary, options, bar)
    const isAccurate = attempt.loss <= options.maxLoss
    const isWritten = isAccurate || options.force === true
    const figures = {
      ...attempt,
      pictures: pictures.length,
      bytes: { before: (await stat(path)).size, after: attempt.quantized.file.length },
      speed: isWritten ? await compareSpeed(temporary, judged) : undefined,
    }
    bar.stop()
    printLine(options.json ? toJson(figures) : describe(figures))
    if (!isWritten) throw refusal(name, attempt, options.maxLoss)
    await rename(temporary, target)
    if (!options.json) printLine(`${isAccurate ? '' : 'Written all the same: '}${target}`)
  } finally {
    bar.stop()
    await discard(temporary)
  }
}

/** @throws EdgeInferError BAD_OPTION where it is no model's name, its directory is not there, or it is the source. */
async function checkTarget(out: string, source: string): Promise<string> {
  const target = resolve(out)
  if (extname(target) !== '.onnx') throw new EdgeInferError(
    'BAD_OPTION', `Expected --out to end in .onnx but it is ${out}`,
  )
  if (target === resolve(source)) throw new EdgeInferError(
    'BAD_OPTION', `--out names the float model itself, ${source}`,
  )
  const isThere = await stat(dirname(target)).then((found) => found.isDirectory(), () => false)
  if (!isThere) throw new EdgeInferError('BAD_OPTION', `The directory of --out, ${dirname(target)}, is not there`)
  return target
}

async function findPictures(directory: string): ReturnType<typeof picturesOf> {
  try {
    return await picturesOf(directory)
  } catch (error) {
    if (error instanceof EdgeInferError) throw error
    throw new EdgeInferError(
      'BAD_OPTION', `--calibrate ${directory} cannot be read: ${(error as Error).message}`, { cause: error },
    )
  }
}

/**
 * Tries everything in int8; as long as that loses too much and must not, twice as many of the layers that lose most in
 * float. The first attempt that will do is answered and lies in `temporary`; where none does, the most accurate one.
 */
async function findAccurate(
  quantizer: Quantizer, judged: JudgeOptions, temporary: string, { maxLoss, force }: QuantizeCommandOptions,
  bar: ProgressBar,
): Promise<Attempt> {
  const judge = await createJudge(judged)
  let attempts = 0
  const attempt = async (inFloat: readonly Layer[]): Promise<Attempt> => {
    attempts += 1
    const quantized = quantizer.quantize(inFloat)
    await removeVariantOf(temporary)
    await writeResult(temporary, quantized.file, 'The file of --out')
    const accuracy = await judge(temporary)
    const loss = Math.max(...accuracy.map((change) => change.loss))
    return { quantized, accuracy, loss, number: attempts, of: attempts, layersInFloat: inFloat.length }
  }
  let best = await attempt([])
  if (best.loss <= maxLoss || force) return best
  const layers = await quantizer.rankLayers((done, total) => bar.update('layers, one by one', done, total))
  for (let count = 1; count <= MAX_LAYERS_IN_FLOAT * layers.length; count *= 2) {
    const next = await attempt(layers.slice(0, count))
    if (next.loss <= maxLoss) return next
    if (next.loss < best.loss) best = next
  }
  return { ...best, of: attempts }
}

/** What is left where the file was not moved to its place. */
async function discard(temporary: string): Promise<void> {
  await removeVariantOf(temporary)
  await rm(temporary, { force: true })
}

async function removeVariantOf(path: string): Promise<void> {
  const isThere = await stat(path).then(() => true, () => false)
  if (isThere) await removeVariant(path)
}

function warnOfSaturation({ reduceRange }: QuantizeCommandOptions): void {
  if (process.arch !== 'x64' || reduceRange) return
  const { features, model } = readCpuFeatures()
  if (features.some((feature) => EXACT_PRODUCTS.includes(feature))) return
  say(`warning: ${model} has no VNNI: sums of two products may be cut off at 16 bits. ` +
    'If accuracy suffers, try --reduce-range\n')
}

function refusal(name: string, { loss, accuracy }: Attempt, maxLoss: number): EdgeInferError {
  const worst = accuracy.find((change) => change.loss === loss) as AccuracyChange
  return new EdgeInferError(
    'NOT_QUANTIZED', `${name} loses ${loss.toFixed(2)} ${worst.unit} on ${worst.set}, and ${maxLoss} are allowed ` +
      '(--max-loss). Nothing was written; more pictures to calibrate on may help, --force writes all layers in int8',
    { details: { loss, maxLoss, set: worst.set } })
}

interface Figures extends Attempt {
  pictures: number
  bytes: { before: number; after: number }
  /** Undefined where the file is refused. */
  speed: SpeedChange | undefined
}

function toJson({ quantized, accuracy, of: attempts, layersInFloat, bytes, speed }: Figures): string {
  const { convolutions } = quantized
  return JSON.stringify({
    convolutions, layers_in_float: layersInFloat, attempts, accuracy, bytes, inference_milliseconds: speed,
  }, null, 2)
}

function describe(figures: Figures): string {
  const { accuracy, pictures, bytes, speed, quantized: { convolutions: { all, quantized: whole } } } = figures
  const rows = accuracy.map((change) => [
    change.set, String(change.pictures), change.before.toFixed(2), change.after.toFixed(2),
    `${change.loss.toFixed(2).replace(/^-0\.00$/, '0.00')} ${change.unit}`,
  ])
  const facts = [
    ['file', formatBytes(bytes.before), formatBytes(bytes.after), (bytes.after / bytes.before).toFixed(2)],
    ...(speed ? [['inference', `${speed.before.toFixed(1)} ms`, `${speed.after.toFixed(1)} ms`, spread(speed)]] : []),
  ]
  const unit = accuracy[0]?.unit === 'degrees'
    ? 'Mean absolute error in degrees.'
    : 'Average precision in percent, at an intersection over union of 0.5.'
  return [
    `${whole} of ${all} convolutions in int8, calibrated on ${pictures === 1 ? '1 picture' : `${pictures} pictures`}`,
    ...describeSearch(figures),
    renderTable(['SET', 'PICTURES', 'FLOAT', 'INT8', 'LOSS'], rows, ['PICTURES', 'FLOAT', 'INT8', 'LOSS']),
    wrap(unit),
    '',
    renderTable(['', 'FLOAT', 'INT8', 'RATIO'], facts, ['FLOAT', 'INT8', 'RATIO']),
    ...(speed && speed.ratio.median >= 1 ? ['It is not faster than the float model on this processor.'] : []),
  ].join('\n')
}

function spread({ ratio: { median, lowerQuartile, upperQuartile } }: SpeedChange): string {
  return `${median.toFixed(2)} (${lowerQuartile.toFixed(2)} to ${upperQuartile.toFixed(2)})`
}

function describeSearch({ number, of, layersInFloat }: Attempt): string[] {
  if (of === 1) return []
  const text = number === of
    ? `${of - 1} attempts before this one lost too much. In it`
    : `All ${of} attempts lost too much. In the best of them`
  return [wrap(`${text} the ${layersInFloat} layers that lose most stay in float`)]
}
