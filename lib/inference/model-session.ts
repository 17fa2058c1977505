/** A model, loaded; calls that can be aborted. */
import { availableParallelism } from 'node:os'
import { variantOf, type CatalogEntry, type ResolvedModel } from '../models/index.js'
import { EdgeInferError } from '../errors.js'
import {
  loadRuntime, native, toEdgeInferError, type NativeImage, type NativeJobServer, type NativeJobSettings,
  type NativeSession, type TensorInfo,
} from '../native.js'
import { parseDevice } from './device.js'
import { toNativeImage, type ImageInput, type OrientationOptions } from './image.js'
import { integerIn, refuse } from './options.js'

export interface SessionOptions extends OrientationOptions {
  /** `cpu` (default), `cuda[:n]`, `tensorrt[:n]`. */
  device?: string | undefined
  /** Use the CPU where the device's provider is missing; `warnings` then says so. */
  fallback?: boolean | undefined
  /** Threads that compute one request together; all cores unless said otherwise. */
  threads?: number | undefined
  /** Let waiting threads spin: a little faster on a machine of one's own, bad on a shared or limited one. */
  spinning?: boolean | undefined
  /** Requests computed at once, each with threads and buffers of its own; 1 unless said otherwise. */
  concurrency?: number | undefined
  /** Pixels, for models that leave their input's size open: a square's side, or both. */
  inputSize?: number | { width: number; height: number } | undefined
  /**
   * Give each frame the smallest input that holds it instead of a square one with wide borders; true unless said
   * otherwise. For models whose faster form takes any size (YOLOv8).
   */
  rectangular?: boolean | undefined
  /** Run the model's file as it is, not its faster form. */
  asExported?: boolean | undefined
  tensorrt?: { fp16?: boolean; engineCacheDirectory?: string } | undefined
  /** Path of the ONNX Runtime library; see the search order in the documentation. One a process. */
  runtimeLibrary?: string | undefined
}

/** Brings a model to this machine. */
export type ModelFinder = () => Promise<ResolvedModel>

export interface CallOptions extends OrientationOptions {
  /** Stops the call, also while the model runs; the promise rejects with the code ABORTED. */
  signal?: AbortSignal | undefined
}

/** A model, loaded and warmed. */
export class ModelSession {
  readonly entry: CatalogEntry
  /** Files that are run: the model's own, or the one of its faster form. */
  readonly paths: readonly string[]
  readonly #session: NativeSession
  readonly #autoOrient: boolean | undefined
  #nextToken = 1
  #closed: Promise<void> | undefined

  private constructor(
    entry: CatalogEntry, paths: readonly string[], session: NativeSession, autoOrient: boolean | undefined,
  ) {
    this.entry = entry
    this.paths = paths
    this.#session = session
    this.#autoOrient = autoOrient
  }

  /**
   * The model is looked for when the options have been found to be right.
   * @throws EdgeInferError BAD_OPTION, MODEL_*, RUNTIME_UNAVAILABLE, PROVIDER_UNAVAILABLE, and those of `findModel`.
   */
  static async open(findModel: ModelFinder, options: SessionOptions): Promise<ModelSession> {
    const device = parseDevice(options.device ?? 'cpu')
    const threads = integerIn('threads', options.threads, 1, 256) ?? availableParallelism()
    const concurrency = integerIn('concurrency', options.concurrency, 1, 64) ?? 1
    const inputSize = parseInputSize(options.inputSize)
    const { entry, paths } = await findModel()
    loadRuntime(options.runtimeLibrary)
    const variant = options.asExported ? undefined : await variantOf(entry, paths[0] as string)
    const modelPaths = variant ? [variant.path] : paths
    const session = await native.createSession({
      modelPaths,
      family: variant?.family ?? entry.family,
      preprocessing: entry.preprocessing,
      inputSize: inputSize ?? variant?.inputSize,
      defaultInputSize: entry.input,
      rectangular: options.rectangular ?? true,
      classCount: entry.labels.length > 0 ? entry.labels.length : undefined,
      boxesDecoded: entry.boxesDecoded,
      device,
      fallbackToCpu: options.fallback ?? false,
      tensorrt: options.tensorrt && { fp16: false, ...options.tensorrt },
      intraOpThreads: threads,
      allowSpinning: options.spinning ?? false,
      concurrency,
    })
    return new ModelSession(entry, modelPaths, session, options.autoOrient)
  }

  get inputs(): TensorInfo[] { return this.#session.inputs }
  get outputs(): TensorInfo[] { return this.#session.outputs }
  get provider(): string { return this.#session.provider }
  get warnings(): string[] { return this.#session.warnings }
  /** Pixels of the input that a frame of that size is given. */
  inputSizeFor(width: number, height: number): { width: number; height: number } {
    return this.#session.inputSizeFor(width, height)
  }

  /** Calls queued or running. */
  get pending(): number { return this.#session.pending }

  /** The image as a call takes it; the call's options come before those the model was opened with. */
  toImage(image: ImageInput, { autoOrient = this.#autoOrient }: OrientationOptions): Promise<NativeImage> {
    return toNativeImage(image, { autoOrient })
  }

  /** Runs one native call under a signal. */
  async call<T>(
    signal: AbortSignal | undefined, start: (session: NativeSession, token: number) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw new EdgeInferError('CLOSED', `The task with the model ${this.entry.name} has been closed`)
    if (signal?.aborted) throw aborted(signal)
    const token = this.#nextToken++
    const stop = (): void => this.#session.cancel(token)
    signal?.addEventListener('abort', stop, { once: true })
    try {
      return await start(this.#session, token)
    } catch (error) {
      const translated = toEdgeInferError(error)
      throw translated.code === 'ABORTED' && signal?.aborted ? aborted(signal) : translated
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  /**
   * Answers jobs, which keep the session busy. Resolves to true when their socket is closed and all are answered, to
   * false when this is being closed.
   */
  serveJobs(jobs: NativeJobServer, settings: NativeJobSettings): Promise<boolean> {
    return this.call(undefined, (session) => session.serveJobs(jobs, settings))
  }

  /** Waits for the running calls and frees the model; calls still queued reject with the code CLOSED. */
  close(): Promise<void> {
    return this.#closed ??= this.#session.close()
  }
}

function aborted(signal: AbortSignal): EdgeInferError {
  return new EdgeInferError('ABORTED', 'The call was aborted', { cause: signal.reason })
}

function parseInputSize(value: SessionOptions['inputSize']): { width: number; height: number } | undefined {
  if (value === undefined) return undefined
  const size = typeof value === 'number' ? { width: value, height: value } : value
  if (typeof size !== 'object' || size === null) refuse('inputSize', 'a number or {width, height}', value)
  integerIn('the width of inputSize', size.width ?? null, 8, 8192)
  integerIn('the height of inputSize', size.height ?? null, 8, 8192)
  return { width: size.width, height: size.height }
}
