/** What a quantised model loses and gains against the float model it was made of. */
import { readFile } from 'node:fs/promises'
import { EdgeInferError } from '../errors.js'
import { createTask, Detector, type DetectedObject } from '../tasks/index.js'
import { resolveTaskModel } from '../tasks/models.js'
import { isTaskOfKind, type TaskName, type TaskOfKind } from '../tasks/registry.js'
import { measureAccuracy, type Accuracy } from './accuracy/index.js'
import { scoreDetections } from './accuracy/matching.js'
import { interleave, type BenchTarget } from './interleave.js'
import { mean, median, ratioOfMedians, type Ratio } from './statistics.js'

export interface JudgeOptions {
  task: TaskName
  /** A name of the catalogue or a path. */
  model: string
  /** Paths of pictures; for head poses each shows one face. */
  pictures: readonly string[]
  /** A directory of labelled sets; without one the float model's answers on the pictures are the truth. */
  labels?: string | undefined
  threads: number
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total: number) => void) | undefined
}

/**
 * Average precision at IoU 0.5 in percent, which falls by points; or the mean absolute error in degrees, which grows.
 */
export interface AccuracyChange {
  set: string
  pictures: number
  unit: 'points' | 'degrees'
  before: number
  after: number
  /** In the unit; below zero where the quantised model is better. */
  loss: number
}

/** Says how much a model's quantised file changes its accuracy: one figure a set. */
export type QuantizationJudge = (quantized: string) => Promise<AccuracyChange[]>

/** Milliseconds of the model's run on one picture, medians of runs in turns, and the ratio of after to before. */
export interface SpeedChange {
  before: number
  after: number
  ratio: Ratio
}

const HIT_IOU = 0.5
/** Low enough for the tail of the precision-recall curve. */
const MIN_SCORE = 0.01
/** What the float model is less sure of than this share of its threshold is false where it is found. */
const DOUBTFUL_SHARE = 0.5
const WARM_UP_ROUNDS = 3
const ROUNDS = 40

/** Measures the float model once. @throws EdgeInferError those of the tasks and of {@link measureAccuracy}. */
export async function createJudge(options: JudgeOptions): Promise<QuantizationJudge> {
  if (options.labels !== undefined) return judgeByLabels(options, options.labels)
  const { task } = options
  return isTaskOfKind('head_pose', task) ? judgeByPoses(options, task) : judgeByDetections(options, task)
}

async function judgeByLabels(options: JudgeOptions, data: string): Promise<QuantizationJudge> {
  const { task, threads, signal } = options
  const measure = (model: string, variant: string): Promise<Accuracy[]> => measureAccuracy({
    data, tasks: [task], models: { [task]: model }, threads, signal, onlyDefault: true,
    onProgress: (label, done, total) => options.onProgress?.(`${variant}: ${label}`, done, total),
  })
  const before = await measure(options.model, 'float')
  return async (quantized) => {
    const after = await measure(quantized, 'int8')
    return before.map((result, index) => changeOf(result, after[index] as Accuracy))
  }
}

function changeOf(before: Accuracy, after: Accuracy): AccuracyChange {
  const base = { set: `${before.set}, ${before.counts}`, pictures: before.pictures }
  if (before.kind === 'detection' && after.kind === 'detection') {
    const [from, to] = [100 * before.averagePrecision, 100 * after.averagePrecision]
    return { ...base, unit: 'points', before: from, after: to, loss: from - to }
  }
  const [from, to] = [before, after].map((result) =>
    result.kind === 'head pose' ? result.meanAbsoluteError.all : Number.NaN) as [number, number]
  return { ...base, unit: 'degrees', before: from, after: to, loss: to - from }
}

const ANSWERS = "calibration pictures, the float model's answers"

async function judgeByDetections(options: JudgeOptions, task: TaskOfKind<'detection'>): Promise<QuantizationJudge> {
  const { pictures } = options
  const answers = async (model: string, variant: string): Promise<DetectedObject[][]> => {
    const detector = await createTask(task, { model, threads: options.threads })
    try {
      return await onEach(options, variant, async (image) =>
        (await detector.run(image, { scoreThreshold: MIN_SCORE, signal: options.signal })).objects)
    } finally {
      await detector.close()
    }
  }
  const { entry } = await resolveTaskModel(task, options.model)
  const scoreThreshold = entry.thresholds?.scoreThreshold ?? 0
  const truths = (await answers(options.model, 'float')).map((objects) => objects
    .filter(({ score }) => score >= DOUBTFUL_SHARE * scoreThreshold)
    .map(({ box, classId, score }) => ({ box, classId, ignored: score < scoreThreshold })))
  if (!truths.flat().some(({ ignored }) => !ignored)) {
    throw new EdgeInferError('BAD_IMAGE',
      'The model finds nothing in the calibration pictures, so there is nothing to ' +
      'compare: give pictures of what it is to find, or a labelled set')
  }
  return async (quantized) => {
    const found = await answers(quantized, 'int8')
    const judged = truths.map((truth, index) => ({ truth, found: found[index] as DetectedObject[] }))
    const after = 100 * scoreDetections(judged, { iou: HIT_IOU, scoreThreshold, minSide: 0 }).averagePrecision
    return [{ set: ANSWERS, pictures: pictures.length, unit: 'points', before: 100, after, loss: 100 - after }]
  }
}

async function judgeByPoses(options: JudgeOptions, task: TaskOfKind<'head_pose'>): Promise<QuantizationJudge> {
  const { pictures } = options
  const answers = async (model: string, variant: string): Promise<number[][]> => {
    const estimator = await createTask(task, { model, threads: options.threads })
    try {
      return await onEach(options, variant, async (image) => {
        const { poses: [pose] } = await estimator.runFaces([image], { signal: options.signal })
        return pose ? [pose.yaw, pose.pitch, pose.roll] : []
      })
    } finally {
      await estimator.close()
    }
  }
  const before = (await answers(options.model, 'float')).flat()
  return async (quantized) => {
    const found = (await answers(quantized, 'int8')).flat()
    const after = mean(before.map((angle, index) => Math.abs(angle - (found[index] as number))))
    return [{ set: ANSWERS, pictures: pictures.length, unit: 'degrees', before: 0, after, loss: after }]
  }
}

async function onEach<T>(
  { pictures, onProgress }: JudgeOptions, variant: string, answer: (image: Buffer) => Promise<T>,
): Promise<T[]> {
  const answers: T[] = []
  for (const path of pictures) {
    onProgress?.(`${variant}: calibration pictures`, answers.length, pictures.length)
    answers.push(await answer(await readFile(path)))
  }
  return answers
}

/** Both models on the first picture. @throws EdgeInferError those of the tasks. */
export async function compareSpeed(
  quantized: string, { task, model, pictures, threads, signal, onProgress }: JudgeOptions,
): Promise<SpeedChange> {
  const image = await readFile(pictures[0] as string)
  const open = async (name: string): Promise<BenchTarget & { close(): Promise<void> }> => {
    const opened = await createTask(task, { model: name, threads })
    return {
      name,
      async measure() {
        const { timings } = opened instanceof Detector ? await opened.run(image) : await opened.runFaces([image])
        return { total: timings.inference, stages: {} }
      },
      close: () => opened.close(),
    }
  }
  const benchTargets = [await open(model), await open(quantized)]
  try {
    const rounds = await interleave(benchTargets, {
      warmupRequestCount: WARM_UP_ROUNDS, requestCount: ROUNDS, measurementInterval: 0, signal,
      onProgress: (done, total) => onProgress?.('speed', done, total),
    })
    const [before, after] = rounds.map((round) => round.map(({ total }) => total)) as [number[], number[]]
    return { before: median(before), after: median(after), ratio: ratioOfMedians(after, before) }
  } finally {
    for (const benchTarget of benchTargets) await benchTarget.close()
  }
}
