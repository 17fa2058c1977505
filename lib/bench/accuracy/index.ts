/** How right the models are, on labelled pictures, with and without what makes the library fast. */
import { variantOf } from '../../models/index.js'
import type { TaskName } from '../../tasks/registry.js'
import { createTask, type Detections, type Detector, type ModelOptions } from '../../tasks/index.js'
import { resolveTaskModel } from '../../tasks/models.js'
import { mean } from '../statistics.js'
import { setsIn, type DetectionSet, type HeadPoseSet, type LabelledImage, type LabelledSet } from './datasets.js'
import { scoreDetections, type DetectionScores, type MatchRules, type Picture } from './matching.js'
import { decodePixels, encodePixels, tilePixels } from './pixels.js'

/**
 * How a picture is answered: as requests are by default; with every pixel decoded; and also by the model's file as it
 * was exported, on its whole input. The last one is what the model's makers measured.
 */
export type AnswerMode = 'default' | 'full decode' | 'as exported'

export interface AccuracyOptions extends Pick<ModelOptions, 'threads' | 'device' | 'runtimeLibrary' | 'download'> {
  /** A directory with `images/` and `labels/`. */
  data: string
  /** All when absent. */
  tasks?: readonly TaskName[] | undefined
  /** Model by task; the default one where absent. */
  models?: Partial<Record<TaskName, string>> | undefined
  /** Leave out the reduced decode of the default mode. */
  fullDecode?: boolean | undefined
  /** Only the answers requests get, on the sets' own pictures: no other modes, nothing tiled. */
  onlyDefault?: boolean | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total: number) => void) | undefined
}

interface AccuracyBase {
  set: string
  task: TaskName
  model: string
  /** What is counted, for people. */
  counts: string
  pictures: number
}

export interface DetectionAccuracy extends AccuracyBase, DetectionScores {
  kind: 'detection'
  mode: AnswerMode
  /** Pictures whose answer is not exactly that of the most exact mode; undefined for that one. */
  differing: number | undefined
  rules: MatchRules
}

export interface HeadPoseAccuracy extends AccuracyBase {
  kind: 'head pose'
  mode: 'full decode'
  /** Mean absolute error, degrees. */
  meanAbsoluteError: { yaw: number; pitch: number; roll: number; all: number }
}

export type Accuracy = DetectionAccuracy | HeadPoseAccuracy

const HIT_IOU = 0.5
/** Low enough for the tail of the precision-recall curve. */
const MIN_SCORE = 0.01
const TILES = 4

/** @throws EdgeInferError BAD_OPTION where the directory holds no labelled set; those of the tasks. */
export async function measureAccuracy(options: AccuracyOptions): Promise<Accuracy[]> {
  const results: Accuracy[] = []
  for (const set of setsIn(options.data, options.tasks)) {
    if (set.kind === 'detection') results.push(...(await measureDetection(set, options)))
    else results.push(await measureHeadPose(set, options))
  }
  return results
}

function modelOptions({ task }: LabelledSet, options: AccuracyOptions): ModelOptions {
  const { threads, device, runtimeLibrary, download, models } = options
  return { threads, device, runtimeLibrary, download, model: models?.[task] }
}

async function measureDetection(set: DetectionSet, options: AccuracyOptions): Promise<DetectionAccuracy[]> {
  const images = await set.load(options.data)
  const detectors = await openDetectors(set, options)
  try {
    const grids = options.onlyDefault ? [] : await tile(images, detectors[0].detector)
    const results: DetectionAccuracy[] = []
    for (const [name, pictures] of [[set.name, images], [`${set.name}, tiled 2×2`, grids]] as const) {
      if (pictures.length === 0) continue
      let exact: Detections[] | undefined
      for (const { mode, detector } of detectors) {
        const answers = await answer(name, mode, pictures, set, detector, options)
        const { entry } = detector.model
        const rules = { iou: HIT_IOU, scoreThreshold: entry.thresholds?.scoreThreshold ?? 0, minSide: set.minSide }
        results.push({
          kind: 'detection', set: name, task: set.task, model: entry.name, counts: set.counts,
          pictures: pictures.length, mode, differing: exact && countDiffering(answers, exact), rules,
          ...scoreDetections(answers.map((found, index) => toPicture(found, pictures[index] as LabelledImage)), rules),
        })
        exact ??= answers
      }
    }
    return results
  } finally {
    for (const { detector } of detectors) await detector.close()
  }
}

interface ModeDetector {
  mode: AnswerMode
  detector: Detector
}

/** One a mode, the most exact first; modes that make no difference to the model are left out. */
async function openDetectors(set: DetectionSet, options: AccuracyOptions): Promise<[ModeDetector, ...ModeDetector[]]> {
  const model = modelOptions(set, options)
  if (options.onlyDefault) return [{ mode: 'default', detector: await createTask(set.task, model) }]
  const { entry, paths } = await resolveTaskModel(set.task, model.model)
  const usual = await createTask(set.task, model)
  const others: ModeDetector[] = [
    { mode: 'full decode', detector: usual },
    ...(options.fullDecode ? [] : [{ mode: 'default' as const, detector: usual }]),
  ]
  const hasVariant = (await variantOf(entry, paths[0] as string)) !== undefined
  if (!hasVariant) return others as [ModeDetector, ...ModeDetector[]]
  return [{ mode: 'as exported', detector: await createTask(set.task, { ...model, asExported: true }) }, ...others]
}

async function answer(
  name: string, mode: AnswerMode, images: readonly LabelledImage[], set: DetectionSet, detector: Detector,
  options: AccuracyOptions,
): Promise<Detections[]> {
  const answers: Detections[] = []
  for (const image of images) {
    options.onProgress?.(`${name}, ${mode}`, answers.length, images.length)
    answers.push(await detector.run(image.file, {
      scoreThreshold: MIN_SCORE, classes: set.classes, fullDecode: mode !== 'default', signal: options.signal,
    }))
  }
  return answers
}

function toPicture(answer: Detections, image: LabelledImage): Picture {
  return { truth: image.truth(answer), found: answer.objects }
}

function countDiffering(answers: readonly Detections[], others: readonly Detections[]): number {
  const text = (answer: Detections | undefined): string => JSON.stringify(answer?.objects)
  return answers.filter((answer, index) => text(answer) !== text(others[index])).length
}

/**
 * The same pictures, four to a frame: frames large enough for a reduced decode, with all the detail that real frames
 * of that size have, where the set's own pictures are too small for one.
 */
async function tile(images: readonly LabelledImage[], detector: Detector): Promise<LabelledImage[]> {
  const grids: LabelledImage[] = []
  for (let first = 0; first < images.length; first += TILES) {
    const group = images.slice(first, first + TILES)
    const sizes = await Promise.all(group.map(async ({ file }) => {
      const { width, height } = await detector.run(file)
      return { width, height }
    }))
    const tiles = await Promise.all(group.map(({ file }, index) => decodePixels(file, sizes[index] as typeof sizes[0])))
    const grid = tilePixels(tiles)
    grids.push({
      name: group.map(({ name }) => name).join(' + '),
      file: await encodePixels(grid),
      truth: () => group.flatMap((image, index) => {
        const { x, y } = grid.places[index] as { x: number; y: number }
        return image.truth(sizes[index] as typeof sizes[0]).map((label) => {
          const [x1, y1, x2, y2] = label.box
          return { ...label, box: [x1 + x, y1 + y, x2 + x, y2 + y] }
        })
      }),
    })
  }
  return grids
}

async function measureHeadPose(set: HeadPoseSet, options: AccuracyOptions): Promise<HeadPoseAccuracy> {
  const estimator = await createTask(set.task, modelOptions(set, options))
  try {
    const heads = await set.load(options.data)
    const errors: Array<[number, number, number]> = []
    for (const { file, box, pose } of heads) {
      options.onProgress?.(set.name, errors.length, heads.length)
      const { poses: [found] } = await estimator.run(file, [box], { signal: options.signal })
      if (found === undefined) continue
      const { yaw, pitch, roll } = pose
      errors.push([Math.abs(found.yaw - yaw), Math.abs(found.pitch - pitch), Math.abs(found.roll - roll)])
    }
    const [yaw, pitch, roll] = [0, 1, 2].map((axis) => mean(errors.map((error) => error[axis] as number))) as
      [number, number, number]
    return {
      kind: 'head pose',
      set: set.name,
      task: set.task,
      model: estimator.model.entry.name,
      counts: set.counts,
      pictures: heads.length,
      mode: 'full decode',
      meanAbsoluteError: { yaw, pitch, roll, all: mean([yaw, pitch, roll]) },
    }
  } finally {
    await estimator.close()
  }
}
