/** How right the models are, on labelled pictures, with a reduced and a full decode of the same JPEG files. */
import type { TaskName } from '../../models/index.js'
import { Detector, HeadPoseEstimator, type Detections, type ModelOptions } from '../../tasks/index.js'
import { mean } from '../statistics.js'
import { setsIn, type DetectionSet, type HeadPoseSet, type LabelledImage, type LabelledSet } from './datasets.js'
import { scoreDetections, type DetectionScores, type MatchRules, type Picture } from './matching.js'
import { decodePixels, encodePixels, tilePixels } from './pixels.js'

export type DecodeMode = 'reduced' | 'full'

export interface AccuracyOptions extends Pick<ModelOptions, 'threads' | 'device' | 'runtimeLibrary' | 'download'> {
  /** A directory with `images/` and `labels/`. */
  data: string
  /** All when absent. */
  tasks?: readonly TaskName[] | undefined
  /** Model by task; the default one where absent. */
  models?: Partial<Record<TaskName, string>> | undefined
  /** Measure the full decode only. */
  fullDecode?: boolean | undefined
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
  decode: DecodeMode
  /** Pictures whose answer is another one than that of the full decode; undefined where that was not measured. */
  differing: number | undefined
  rules: MatchRules
}

export interface HeadPoseAccuracy extends AccuracyBase {
  kind: 'head pose'
  decode: 'full'
  /** Mean absolute error, degrees. */
  meanAbsoluteError: { yaw: number; pitch: number; roll: number; all: number }
}

export type Accuracy = DetectionAccuracy | HeadPoseAccuracy

const HIT_IOU = 0.5
/** Low enough for the tail of the precision-recall curve. */
const LEAST_SCORE = 0.01
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
  const detector = await Detector.open(set.task, modelOptions(set, options))
  try {
    const images = await set.load(options.data)
    const grids = await tile(images, detector)
    const results: DetectionAccuracy[] = []
    for (const [name, pictures] of [[set.name, images], [`${set.name}, tiled 2×2`, grids]] as const) {
      results.push(...(await measurePictures(name, pictures, set, detector, options)))
    }
    return results
  } finally {
    await detector.close()
  }
}

async function measurePictures(
  name: string, images: readonly LabelledImage[], set: DetectionSet, detector: Detector, options: AccuracyOptions,
): Promise<DetectionAccuracy[]> {
  const { entry } = detector.model
  const rules = { iou: HIT_IOU, scoreThreshold: entry.thresholds?.scoreThreshold ?? 0, minSide: set.minSide }
  const byMode = new Map<DecodeMode, Detections[]>()
  for (const decode of options.fullDecode ? ['full'] as const : ['full', 'reduced'] as const) {
    const answers: Detections[] = []
    for (const image of images) {
      options.onProgress?.(`${name}, ${decode} decode`, answers.length, images.length)
      answers.push(await detector.run(image.file, {
        scoreThreshold: LEAST_SCORE, classes: set.classes, fullDecode: decode === 'full', signal: options.signal,
      }))
    }
    byMode.set(decode, answers)
  }
  return Array.from(byMode, ([decode, answers]) => ({
    kind: 'detection',
    set: name,
    task: set.task,
    model: entry.name,
    counts: set.counts,
    pictures: images.length,
    decode,
    differing: decode === 'full' ? undefined : countDiffering(answers, byMode.get('full') ?? []),
    rules,
    ...scoreDetections(answers.map((answer, index) => toPicture(answer, images[index] as LabelledImage)), rules),
  }))
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
  const estimator = await HeadPoseEstimator.open(modelOptions(set, options))
  try {
    const heads = await set.load(options.data)
    const errors: Array<[number, number, number]> = []
    for (const { file, box, pose } of heads) {
      options.onProgress?.(set.name, errors.length, heads.length)
      const { poses: [found] } = await estimator.run(file, [box], { signal: options.signal })
      if (found === undefined) continue
      errors.push([Math.abs(found.yaw - pose.yaw), Math.abs(found.pitch - pose.pitch), Math.abs(found.roll - pose.roll)])
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
      decode: 'full',
      meanAbsoluteError: { yaw, pitch, roll, all: mean([yaw, pitch, roll]) },
    }
  } finally {
    await estimator.close()
  }
}
