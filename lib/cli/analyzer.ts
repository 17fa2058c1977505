/** A task as people mean it: a whole picture in, and for head poses the faces are found first. */
import { EdgeInferError } from '../errors.js'
import { isTaskOfKind, pipelineOf, type TaskName, type TaskOfKind } from '../tasks/registry.js'
import type { NativeImage, StageTimings } from '../native.js'
import {
  createTask, type DetectedObject, type DetectionThresholds, type Detector, type HeadPose, type HeadPoseEstimator,
  type ModelOptions,
} from '../tasks/index.js'
import { addTimings } from '../inference/stage-timings.js'
import { fetchModel } from './fetch.js'

export interface AnalyzerOptions extends Pick<ModelOptions, 'model' | 'inputSize' | 'device' | 'threads' | 'fallback'> {
  /** Of the task that finds what this one starts from; its default one when absent. */
  faceModel?: string | undefined
  thresholds?: Omit<DetectionThresholds, 'classes'> | undefined
  /** Names or ids of the classes to keep; all when absent. */
  classes?: readonly string[] | undefined
}

/** What was found in one picture. */
export interface Analysis {
  /** Pixels. */
  width: number
  height: number
  /** Best first. */
  objects: DetectedObject[]
  /** Head poses: one an object. */
  poses: HeadPose[] | undefined
  /** Milliseconds of each stage; where two models ran, of both together. */
  timings: StageTimings
}

/** One task, its models loaded. */
export class Analyzer {
  readonly task: TaskName
  readonly #detector: Detector
  readonly #estimator: HeadPoseEstimator | undefined
  readonly #classes: readonly number[] | undefined

  private constructor(
    task: TaskName, detector: Detector, estimator: HeadPoseEstimator | undefined,
    classes: readonly number[] | undefined,
  ) {
    this.task = task
    this.#detector = detector
    this.#estimator = estimator
    this.#classes = classes
  }

  /** Loads the models, and fetches those that are not on this machine. */
  static async open(task: TaskName, options: AnalyzerOptions, signal: AbortSignal): Promise<Analyzer> {
    const { model, inputSize, faceModel, thresholds, classes, ...common } = options
    const [first = task, ...more] = pipelineOf(task)
    const detectionModel = more.length > 0 ? faceModel : model
    await fetchModel(first, detectionModel, signal)
    const detector = await createTask(first as TaskOfKind<'detection'>, {
      ...common, ...thresholds, model: detectionModel, inputSize: more.length > 0 ? undefined : inputSize,
    })
    try {
      const kept = classes && classIdsOf(classes, detector.model.entry.labels)
      if (more.length > 0) await fetchModel(task, model, signal)
      const estimator = isTaskOfKind('head_pose', task)
        ? await createTask(task, { ...common, model, inputSize }) : undefined
      return new Analyzer(task, detector, estimator, kept)
    } catch (error) {
      await detector.close()
      throw error
    }
  }

  /** What the runtime could not do as it was asked to. */
  get warnings(): string[] {
    return [...this.#detector.model.warnings, ...this.#estimator?.model.warnings ?? []]
  }

  /** @throws EdgeInferError BAD_IMAGE, TOO_LARGE, ABORTED, INFERENCE, MODEL_OUTPUT. */
  async run(image: NativeImage, signal: AbortSignal): Promise<Analysis> {
    // A head pose moves with the last pixel of its box, which a reduced decode does not give.
    const options = { signal, fullDecode: this.#estimator !== undefined, classes: this.#classes }
    const { width, height, objects, timings } = await this.#detector.run(image, options)
    if (!this.#estimator) return { width, height, objects, poses: undefined, timings }
    if (objects.length === 0) return { width, height, objects, poses: [], timings }
    const found = await this.#estimator.run(image, objects.map(({ box }) => box), { signal })
    return { width, height, objects, poses: found.poses, timings: addTimings(timings, found.timings) }
  }

  async close(): Promise<void> {
    await Promise.all([this.#detector.close(), this.#estimator?.close()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function classIdsOf(classes: readonly string[], labels: readonly string[]): number[] {
  return classes.map((name) => {
    const id = /^\d+$/.test(name) ? Number(name) : labels.indexOf(name)
    if (id >= 0 && (labels.length === 0 || id < labels.length)) return id
    const known = labels.length === 0 ? 'a class id, since the names of this model are unknown' : labels.join(', ')
    const message = `Expected --classes to name classes of the model but received "${name}" (${known})`
    throw new EdgeInferError('BAD_OPTION', message)
  })
}
