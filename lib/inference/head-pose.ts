/** The directions heads look in. */
import type { NativeImage, NativeJobServer, StageTimings, ImageEncoding } from '../native.js'
import type { BoundingBox } from './bounding-box.js'
import type { ImageInput } from './image.js'
import { ModelSession, type CallOptions, type ModelFinder, type SessionOptions } from './model-session.js'
import { numberIn, refuse } from './options.js'

/**
 * Degrees. Yaw: positive towards the picture's left. Pitch: positive upwards. Roll: positive clockwise in the picture.
 */
export interface HeadPose {
  yaw: number
  pitch: number
  roll: number
}

export interface HeadPoseCallOptions extends CallOptions {
  /** How much wider than its box a face is cut out, as a share of the longer side; the model's own when absent. */
  margin?: number | undefined
}

export interface HeadPoses {
  /** Size of each image, pixels. */
  sizes: { width: number; height: number }[]
  /** How the first image came. */
  encoding: ImageEncoding
  /** One a box, or one a face image. */
  poses: HeadPose[]
  timings: StageTimings
}

const DEFAULT_MARGIN = 0.3

/** A loaded head-pose model. */
export class HeadPoseEstimator {
  readonly model: ModelSession

  private constructor(model: ModelSession) {
    this.model = model
  }

  /** Name of the task that its model is for. */
  get task(): string {
    return this.model.entry.task
  }

  /** @see ModelSession.open */
  static async open(findModel: ModelFinder, options: SessionOptions): Promise<HeadPoseEstimator> {
    return new HeadPoseEstimator(await ModelSession.open(findModel, options))
  }

  /**
   * Poses of the faces at `boxes` of one image.
   * @throws EdgeInferError BAD_IMAGE, BAD_REQUEST (a box outside the image), TOO_LARGE, ABORTED, CLOSED, INFERENCE,
   *   MODEL_OUTPUT.
   */
  async run(
    image: ImageInput, boxes: readonly Readonly<BoundingBox>[], options: HeadPoseCallOptions = {},
  ): Promise<HeadPoses> {
    const source = await this.model.toImage(image, options)
    return this.#estimate([source], flatten(boxes), options)
  }

  /** Poses of pictures that each show one face, used whole. */
  async runFaces(faces: readonly ImageInput[], options: HeadPoseCallOptions = {}): Promise<HeadPoses> {
    const images = await Promise.all(faces.map((image) => this.model.toImage(image, options)))
    return this.#estimate(images, undefined, options)
  }

  /** What a worker process does with it. @see ModelSession.serveJobs */
  serveJobs(jobs: NativeJobServer): Promise<boolean> {
    return this.model.serveJobs(jobs, { faceMargin: this.#margin, labels: [] })
  }

  close(): Promise<void> {
    return this.model.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #margin(): number {
    return this.model.entry.cropMargin ?? DEFAULT_MARGIN
  }

  async #estimate(
    images: NativeImage[], boxes: Float64Array | undefined, options: HeadPoseCallOptions,
  ): Promise<HeadPoses> {
    const margin = numberIn('margin', options.margin, 0, 5) ?? this.#margin
    const { angles, sizes, encoding, timings } = await this.model.call(options.signal, (session, token) =>
      session.headPose(images, { boxes, margin }, token))
    const poses = Array.from({ length: angles.length / 3 }, (_, index): HeadPose => ({
      yaw: angles[3 * index] as number,
      pitch: angles[3 * index + 1] as number,
      roll: angles[3 * index + 2] as number,
    }))
    return {
      sizes: images.map((_, index) => ({ width: sizes[2 * index] as number, height: sizes[2 * index + 1] as number })),
      encoding,
      poses,
      timings,
    }
  }
}

function flatten(boxes: readonly Readonly<BoundingBox>[]): Float64Array {
  const flat = new Float64Array(boxes.length * 4)
  for (const [index, box] of boxes.entries()) {
    const valid = Array.isArray(box) && box.length === 4 && box.every((side) => typeof side === 'number')
    if (!valid) refuse(`box ${index}`, 'four numbers [x1, y1, x2, y2]', box, 'BAD_REQUEST')
    flat.set(box, index * 4)
  }
  return flat
}
