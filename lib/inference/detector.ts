/** Objects in a picture. */
import type { CatalogEntry, Thresholds } from '../models/index.js'
import type { NativeDetections, NativeJobServer, StageTimings, ImageEncoding } from '../native.js'
import type { BoundingBox } from './bounding-box.js'
import type { ImageInput } from './image.js'
import { ModelSession, type CallOptions, type ModelFinder, type SessionOptions } from './model-session.js'
import { classIds, integerIn, numberIn } from './options.js'

export type { BoundingBox }

export interface DetectionThresholds {
  /** Least confidence, 0 to 1. */
  scoreThreshold?: number | undefined
  /** Boxes of one class that overlap more than this (intersection over union, 0 to 1) are one object. */
  iouThreshold?: number | undefined
  maxDetections?: number | undefined
  /** Class ids to keep; all when absent. */
  classes?: readonly number[] | undefined
}

export interface DetectOptions extends CallOptions, DetectionThresholds {
  /** Also answer each object as a JPEG: a square round it, `margin` × the longer side wider on each side. */
  crops?: boolean | { margin?: number; quality?: number } | undefined
  /**
   * Decode every pixel of a JPEG and give the model its whole input, even where less would do: for results that are to
   * be compared with another implementation's.
   */
  fullDecode?: boolean | undefined
}

export interface DetectedObject {
  box: BoundingBox
  /** Confidence, 0 to 1. */
  score: number
  classId: number
  /** Name of the class; its number as text where the model's labels are unknown. */
  label: string
  /** A JPEG file, when crops were asked for. */
  crop?: Buffer
}

export interface Detections {
  /** Size of the posted image, pixels. */
  width: number
  height: number
  /** How the image came, for answering images in the same form. */
  encoding: ImageEncoding
  /** Best first. */
  objects: DetectedObject[]
  /** Milliseconds of each stage. */
  timings: StageTimings
}

const DEFAULT_CROP_MARGIN = 0.3
const DEFAULT_CROP_QUALITY = 95

/** A loaded detection model. */
export class Detector {
  readonly model: ModelSession
  readonly #defaults: Thresholds & Pick<DetectionThresholds, 'classes'>

  private constructor(model: ModelSession, defaults: Thresholds & Pick<DetectionThresholds, 'classes'>) {
    this.model = model
    this.#defaults = defaults
  }

  /** Name of the task that its model is for. */
  get task(): string {
    return this.model.entry.task
  }

  /** @see ModelSession.open */
  static async open(findModel: ModelFinder, options: SessionOptions & DetectionThresholds): Promise<Detector> {
    const wanted = checkThresholds(options)
    const model = await ModelSession.open(findModel, options)
    return new Detector(model, { ...defaultsOf(model.entry), ...wanted })
  }

  /** @throws EdgeInferError BAD_IMAGE, TOO_LARGE, BAD_OPTION, ABORTED, CLOSED, INFERENCE, MODEL_OUTPUT. */
  async run(image: ImageInput, options: DetectOptions = {}): Promise<Detections> {
    const thresholds = { ...this.#defaults, ...checkThresholds(options) }
    const crops = checkCrops(options.crops)
    const source = await this.model.toImage(image, options)
    const found = await this.model.call(options.signal, (session, token) =>
      session.detect(source, { ...thresholds, crops, fullDecode: options.fullDecode ?? false }, token))
    return toDetections(found, this.model.entry.labels)
  }

  /** What a worker process does with it. @see ModelSession.serveJobs */
  serveJobs(jobs: NativeJobServer): Promise<boolean> {
    const crops = { margin: DEFAULT_CROP_MARGIN, quality: DEFAULT_CROP_QUALITY }
    return this.model.serveJobs(jobs, { detection: { ...this.#defaults, crops }, labels: this.model.entry.labels })
  }

  close(): Promise<void> {
    return this.model.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function defaultsOf(entry: CatalogEntry): Thresholds {
  return entry.thresholds ?? { scoreThreshold: 0.25, iouThreshold: 0.45, maxDetections: 1000 }
}

/** The thresholds that are given, checked. */
function checkThresholds(options: DetectionThresholds): Partial<Thresholds> & { classes?: readonly number[] } {
  const checked = {
    scoreThreshold: numberIn('scoreThreshold', options.scoreThreshold, 0, 1),
    iouThreshold: numberIn('iouThreshold', options.iouThreshold, 0, 1),
    maxDetections: integerIn('maxDetections', options.maxDetections, 1, 100_000),
    classes: classIds('classes', options.classes),
  }
  return Object.fromEntries(Object.entries(checked).filter(([, value]) => value !== undefined))
}

function checkCrops(crops: DetectOptions['crops']): { margin: number; quality: number } | undefined {
  if (crops === undefined || crops === false) return undefined
  const { margin, quality } = crops === true ? {} : crops
  return {
    margin: numberIn('crops.margin', margin, 0, 5) ?? DEFAULT_CROP_MARGIN,
    quality: integerIn('crops.quality', quality, 1, 100) ?? DEFAULT_CROP_QUALITY,
  }
}

function toDetections(found: NativeDetections, labels: readonly string[]): Detections {
  const objects = Array.from(found.scores, (score, index): DetectedObject => {
    const classId = found.classIds[index] as number
    const crop = found.crops?.[index]
    return {
      box: [...found.boxes.subarray(4 * index, 4 * index + 4)] as BoundingBox,
      score,
      classId,
      label: labels[classId] ?? String(classId),
      ...(crop && { crop }),
    }
  })
  return { width: found.width, height: found.height, encoding: found.encoding, objects, timings: found.timings }
}
