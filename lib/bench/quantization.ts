/** What a quantised model loses and gains against the float model it was made of. */
import { readFile, stat } from 'node:fs/promises'
import { resolveModel, type TaskName } from '../models/index.js'
import { Detector, HeadPoseEstimator, type Detections } from '../tasks/index.js'
import { measureAccuracy, type Accuracy } from './accuracy/index.js'
import { scoreDetections, type MatchRules, type Picture } from './accuracy/matching.js'
import { interleave, type Contender } from './interleave.js'
import { mean, median, ratioOfMedians, type Ratio } from './statistics.js'

export interface QuantizationOptions {
  task: TaskName
  /** A name of the catalogue or a path; and the path of the file made of it. */
  model: string
  quantized: string
  /** Of pictures; for head poses each shows one face. */
  pictures: readonly string[]
  /** A directory of labelled sets; without one the float model's answers on the pictures are the truth. */
  labels?: string | undefined
  threads: number
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total: number) => void) | undefined
}

/** Average precision at IoU 0.5 in percent, which falls by points; or the mean absolute error in degrees, which grows. */
export interface AccuracyChange {
  set: string
  pictures: number
  unit: 'points' | 'degrees'
  before: number
  after: number
  /** In the unit; below zero where the quantised model is better. */
  loss: number
}

export interface QuantizationFigures {
  truth: 'labels' | 'answers of the float model'
  accuracy: AccuracyChange[]
  /** Bytes of the files. */
  bytes: { before: number; after: number }
  /** Median milliseconds of the model's run on one picture, in turns, and the ratio of after to before. */
  inference: { before: number; after: number; ratio: Ratio }
}

const HIT_IOU = 0.5
/** Low enough for the tail of the precision-recall curve. */
const LEAST_SCORE = 0.01
/** What the float model is less sure of than this share of its threshold is false where it is found. */
const DOUBTFUL_SHARE = 0.5
const WARM_UP_ROUNDS = 3
const ROUNDS = 30

/** @throws EdgeInferError those of the tasks and of {@link measureAccuracy}. */
export async function compareQuantized(options: QuantizationOptions): Promise<QuantizationFigures> {
  const accuracy = options.labels === undefined
    ? [await compareAnswers(options)]
    : await compareOnLabels(options, options.labels)
  const { paths: [before] } = await resolveModel(options.model, { task: options.task })
  return {
    truth: options.labels === undefined ? 'answers of the float model' : 'labels',
    accuracy,
    bytes: { before: (await stat(before as string)).size, after: (await stat(options.quantized)).size },
    inference: await compareSpeed(options),
  }
}

async function compareOnLabels(options: QuantizationOptions, data: string): Promise<AccuracyChange[]> {
  const { task, threads, signal } = options
  const measure = (model: string, form: string): Promise<Accuracy[]> => measureAccuracy({
    data, tasks: [task], models: { [task]: model }, threads, signal, onlyDefault: true,
    onProgress: (label, done, total) => options.onProgress?.(`${form}: ${label}`, done, total),
  })
  const before = await measure(options.model, 'float')
  const after = await measure(options.quantized, 'int8')
  return before.map((result, index) => changeOf(result, after[index] as Accuracy))
}

function changeOf(before: Accuracy, after: Accuracy): AccuracyChange {
  const base = { set: `${before.set}, ${before.counts}`, pictures: before.pictures }
  if (before.kind === 'detection' && after.kind === 'detection') {
    const [from, to] = [100 * before.averagePrecision, 100 * after.averagePrecision]
    return { ...base, unit: 'points', before: from, after: to, loss: from - to }
  }
  const error = (result: Accuracy): number => result.kind === 'head pose' ? result.meanAbsoluteError.all : Number.NaN
  return {
    ...base, unit: 'degrees', before: error(before), after: error(after), loss: error(after) - error(before),
  }
}

async function compareAnswers(options: QuantizationOptions): Promise<AccuracyChange> {
  const base = { set: 'calibration pictures', pictures: options.pictures.length }
  if (options.task === 'face_alignment') {
    const after = await poseDifference(options)
    return { ...base, unit: 'degrees', before: 0, after, loss: after }
  }
  const [before, after] = await Promise.all([options.model, options.quantized].map((model) =>
    Detector.open(options.task, { model, threads: options.threads }))) as [Detector, Detector]
  try {
    const scoreThreshold = before.model.entry.thresholds?.scoreThreshold ?? 0
    const judged: Picture[] = []
    for (const [index, path] of options.pictures.entries()) {
      options.onProgress?.('int8 against float', index, options.pictures.length)
      const image = await readFile(path)
      const [expected, found] = await Promise.all([before, after].map((detector) =>
        detector.run(image, { scoreThreshold: LEAST_SCORE, signal: options.signal }))) as [Detections, Detections]
      const truth = expected.objects.filter(({ score }) => score >= DOUBTFUL_SHARE * scoreThreshold)
        .map(({ box, classId, score }) => ({ box, classId, ignored: score < scoreThreshold }))
      judged.push({ truth, found: found.objects })
    }
    const rules: MatchRules = { iou: HIT_IOU, scoreThreshold, minSide: 0 }
    const precision = 100 * scoreDetections(judged, rules).averagePrecision
    return { ...base, unit: 'points', before: 100, after: precision, loss: 100 - precision }
  } finally {
    await Promise.all([before.close(), after.close()])
  }
}

/** Mean of the absolute differences of the three angles. */
async function poseDifference({ model, quantized, pictures, ...options }: QuantizationOptions): Promise<number> {
  const [before, after] = await Promise.all([model, quantized].map((name) =>
    HeadPoseEstimator.open({ model: name, threads: options.threads }))) as [HeadPoseEstimator, HeadPoseEstimator]
  try {
    const differences: number[] = []
    for (const [index, path] of pictures.entries()) {
      options.onProgress?.('int8 against float', index, pictures.length)
      const image = await readFile(path)
      const [expected, found] = await Promise.all([before, after].map(async (estimator) =>
        (await estimator.runFaces([image], { signal: options.signal })).poses[0]))
      for (const angle of ['yaw', 'pitch', 'roll'] as const) {
        if (expected && found) differences.push(Math.abs(expected[angle] - found[angle]))
      }
    }
    return mean(differences)
  } finally {
    await Promise.all([before.close(), after.close()])
  }
}

async function compareSpeed(
  { task, model, quantized, pictures, threads, signal, onProgress }: QuantizationOptions,
): Promise<QuantizationFigures['inference']> {
  const image = await readFile(pictures[0] as string)
  const open = async (name: string): Promise<Contender & { close(): Promise<void> }> => {
    const options = { model: name, threads }
    const opened = task === 'face_alignment'
      ? await HeadPoseEstimator.open(options)
      : await Detector.open(task, options)
    return {
      name,
      async measure() {
        const { timings } = opened instanceof Detector ? await opened.run(image) : await opened.runFaces([image])
        return { total: timings.inference, stages: {} }
      },
      close: () => opened.close(),
    }
  }
  const contenders = [await open(model), await open(quantized)]
  try {
    const rounds = await interleave(contenders, {
      warmupRequestCount: WARM_UP_ROUNDS, requestCount: ROUNDS, measurementInterval: 0, signal,
      onProgress: (done, total) => onProgress?.('speed', done, total),
    })
    const [before, after] = rounds.map((round) => round.map(({ total }) => total)) as [number[], number[]]
    return { before: median(before), after: median(after), ratio: ratioOfMedians(after, before) }
  } finally {
    for (const contender of contenders) await contender.close()
  }
}
