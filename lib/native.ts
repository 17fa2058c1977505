/** The only file that loads the native addon. It types every export and explains a load that failed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EdgeInferError, isErrorCode } from './errors.js'
import { PACKAGE_ROOT, requireFrom } from './platform/package-root.js'
import { findPlatformPackage, PLATFORM_PACKAGE } from './platform/platform-package.js'
import { buildCommand, OWN_RUNTIME, runtimePlaces } from './platform/runtime-library.js'

/** How the head of a model turns output tensors into results; a row in `native/core/heads/registry.cc` each. */
export type ModelFamily = string

export interface FamilyInfo {
  name: ModelFamily
  kind: 'detection' | 'head_pose'
  /** Of graphs that the library cuts before their decode; never a family of the catalogue. */
  internal: boolean
  /** Shapes of the outputs, in words. */
  outputs: string
}

export type ChannelOrder = 'rgb' | 'bgr'

/** Where the scaled frame lies in the network's input: filling it, or keeping its aspect with `pad` around it. */
export type ResizeMode = 'stretch' | 'letterbox-center' | 'letterbox-top-left'

/** `input = (pixel - mean) * scale`, per channel, in the order the network reads its channels. Pixels are 0–255. */
export interface Preprocessing {
  resize: ResizeMode
  channelOrder: ChannelOrder
  mean: readonly [number, number, number]
  scale: readonly [number, number, number]
  /** Grey level (0–255) of the letterbox border. */
  pad: number
}

export type DeviceKind = 'cpu' | 'cuda' | 'tensorrt'

export interface NativeSessionOptions {
  /** One file, or several of one family whose head outputs are averaged (FSA-Net). */
  modelPaths: readonly string[]
  family: ModelFamily
  preprocessing: Preprocessing
  /** Pixels; refused where they differ from a baked size. */
  inputSize?: { width: number; height: number } | undefined
  /** Pixels of a model that leaves its height and width open, where `inputSize` does not say. */
  defaultInputSize?: { width: number; height: number } | undefined
  /** Number of classes the head must find in the output tensors (detection families). */
  classCount?: number | undefined
  /** Where the model takes any size: give each frame the smallest input that holds it, within the input size. */
  rectangular?: boolean | undefined
  /** For `calibrate` only: the outputs may be any float32 tensors. With a concurrency of 1. */
  calibration?: boolean | undefined
  /**
   * YOLOX and UltraFace: whether the model's boxes are in pixels and corners already, or offsets from cells and priors.
   * Absent: its values tell.
   */
  boxesDecoded?: boolean | undefined
  device: { kind: DeviceKind; index: number }
  /** Use the CPU where the provider is missing; `NativeSession.warnings` says so. */
  fallbackToCpu: boolean
  tensorrt?: { fp16: boolean; engineCacheDirectory?: string | undefined } | undefined
  intraOpThreads: number
  allowSpinning: boolean
  /** Requests that may run at once, each with a thread and buffers of its own. */
  concurrency: number
}

/**
 * An image as the addon takes it. `json` is the text of one JSON value: a string in any wire form, or a nested list.
 * `autoOrient`: turn a file's picture as its EXIF orientation says.
 */
export type NativeImage =
  | { kind: 'encoded'; data: Uint8Array; autoOrient?: boolean | undefined }
  | { kind: 'raw'; data: Uint8Array; width: number; height: number; channels: number; order: ChannelOrder }
  | { kind: 'json'; data: Uint8Array; autoOrient?: boolean | undefined }

/** The form an image arrived in, which is the form images are answered in. */
export type ImageEncoding = 'encoded' | 'raw' | 'bytes-literal' | 'base64' | 'data-url' | 'latin1' | 'nested-list'

/** Milliseconds of each stage of one call. */
export type StageTimings = Record<'decode' | 'preprocess' | 'inference' | 'postprocess' | 'encode', number>

export interface NativeDetectOptions {
  scoreThreshold: number
  iouThreshold: number
  maxDetections: number
  /** Class ids to keep; all when absent. */
  classes?: readonly number[] | undefined
  /** Answer a JPEG of each detection: a square of side `(1 + 2 * margin) * longer side`, borders replicated. */
  crops?: { margin: number; quality: number } | undefined
  /** Decode every pixel of the frame and fill the model's whole input, where otherwise less of both would serve. */
  fullDecode?: boolean | undefined
}

export interface NativeDetections {
  /** Size of the posted frame, pixels. */
  width: number
  height: number
  encoding: ImageEncoding
  /** n × 4: x1, y1, x2, y2 in pixels of the posted frame, clipped to it; best first. */
  boxes: Float32Array
  scores: Float32Array
  classIds: Int32Array
  /** n JPEG files when `crops` was asked for. */
  crops: Buffer[] | undefined
  timings: StageTimings
}

export interface NativeHeadPoseOptions {
  /** n × 4 boxes of the one image; absent: each image is a face, used whole. */
  boxes?: Float64Array | undefined
  /** The crop is a square of side `(1 + 2 * margin) * longer side`, same centre, borders replicated. */
  margin: number
}

export interface NativeHeadPoses {
  /** n × 2: width and height of each image, pixels. */
  sizes: Int32Array
  /** Of the first image. */
  encoding: ImageEncoding
  /** n × 3: yaw, pitch, roll in degrees. */
  angles: Float32Array
  timings: StageTimings
}

export interface TensorInfo {
  name: string
  type: string
  /** -1 for a dimension the model leaves open. */
  shape: number[]
}

/** How the values of one tensor are spread over the pictures of a calibration. */
export interface TensorStatistics {
  min: number
  max: number
  /** Values in each of the equal bins from `-range` to `range`. */
  histogram: Float64Array
  range: number
}

export interface NativeSession {
  readonly inputs: TensorInfo[]
  readonly outputs: TensorInfo[]
  readonly provider: string
  readonly warnings: string[]
  /** Pixels of the input that a frame of that size is given. */
  inputSizeFor(width: number, height: number): { width: number; height: number }
  /** Runs a detection family on one image. Rejects with the code ABORTED after `cancel(token)`. */
  detect(image: NativeImage, options: NativeDetectOptions, token: number): Promise<NativeDetections>
  /** Runs a head-pose family on one image with boxes, or on many faces. */
  headPose(images: readonly NativeImage[], options: NativeHeadPoseOptions, token: number): Promise<NativeHeadPoses>
  /** Runs a model opened for calibration on a frame (head-pose families: a face) and counts its outputs' values. */
  calibrate(image: NativeImage, token: number): Promise<void>
  /**
   * Answers jobs on the session's thread, which does nothing else meanwhile. Resolves to true when the other side has
   * closed the socket and all its jobs are answered, to false when the session is being closed.
   */
  serveJobs(jobs: NativeJobServer, settings: NativeJobSettings): Promise<boolean>
  /** Of each output, over all calibration pictures. */
  statistics(): Promise<TensorStatistics[]>
  /** Stops the call of that token, queued or running. Unknown tokens are ignored. */
  cancel(token: number): void
  /** Requests queued or running. */
  readonly pending: number
  /** Resolves when the running calls have ended and the model is freed; queued calls reject with CLOSED. */
  close(): Promise<void>
}

/** What holds for every job that a session answers. */
export interface NativeJobSettings {
  /** Detection families; `crops` are those of a job that asks for them. */
  detection?: (Omit<NativeDetectOptions, 'fullDecode'> & { crops: { margin: number; quality: number } }) | undefined
  /** Head-pose families: `margin` of {@link NativeHeadPoseOptions}. */
  faceMargin?: number | undefined
  /** Class names by id, to be drawn. */
  labels: readonly string[]
}

/**
 * The end of a worker process of the socket its jobs come over, in the messages of lib/workers/process/job-protocol.ts.
 */
export interface NativeJobServer {
  /** Cancels the job with that id, running or still to come. One that is answered is ignored. */
  cancel(id: number): void
}

/** How jobs and their answers are written; native/core/jobs/job_protocol.cc describes it. */
export interface JobProtocol {
  /** Server and workers must have the same. */
  version: number
  /** Names of the numbers of each record, in their order. */
  records: Readonly<Record<string, readonly string[]>>
  /** Bits of a job's `flags`. */
  flags: Readonly<Record<string, number>>
  /** Names by number. */
  imageKinds: readonly string[]
  channelOrders: readonly string[]
}

/** An image that was found in the JSON of a request. */
export interface ExtractedImage {
  key: 'image' | 'image_list' | 'clip' | 'faces'
  encoding: ImageEncoding
  /** A file's bytes, or the pixels of a nested list. */
  image: NativeImage
}

export interface ExtractedRequest {
  /** JSON text of the object's other members; at most 1 MiB, nested at most 64 deep. */
  rest: string
  /** In the order of the text. */
  images: ExtractedImage[]
  /** Which of the keys that hold lists of images were there, empty lists too. */
  lists: string[]
}

/** What is drawn round one object. */
export interface NativeMark {
  box: readonly [number, number, number, number]
  label?: string | undefined
  /** Picks the colour. */
  classId?: number | undefined
  /** yaw, pitch, roll in degrees: drawn as three axes. */
  pose?: readonly [number, number, number] | undefined
}

/** Memory shared with a worker process, which inherits the descriptor. */
export interface SharedMemory {
  fd: number
  memory: Buffer
}

export interface RuntimeInfo {
  path: string
  /** Why it is that one, in words: what named it, or where it was found. */
  source: string
  version: string
  /** The API version in use: the older of the headers' and the library's. */
  apiVersion: number
  /** What the library was built to know; only asking for a provider tells whether it works. */
  providers: string[]
}

export interface NativeVersions {
  opencv: string
  onnxruntimeHeaders: number
  napi: number
  compiler: string
}

interface Addon {
  versions(): NativeVersions
  /** The codes of `lib/errors.ts` that errors of the addon may have. */
  errorCodes(): string[]
  families(): FamilyInfo[]
  loadRuntime(path: string): Omit<RuntimeInfo, 'source'>
  createSession(options: NativeSessionOptions): Promise<NativeSession>
  extractImages(body: Uint8Array): Promise<ExtractedRequest>
  encodeBytesLiteral(bytes: Uint8Array): string
  annotate(image: NativeImage, marks: readonly NativeMark[], extension: string, quality: number): Promise<Buffer>
  reclaim(bytes: Uint8Array): void
  mapLargeBlocks(): void
  createSharedMemory(bytes: number): SharedMemory
  releaseSharedPages(fd: number, offset: number, bytes: number): void
  jobProtocol(): JobProtocol
  openJobServer(socket: number, memory: number): NativeJobServer
}

let addon: Addon | undefined
let runtime: RuntimeInfo | undefined

/** Where the addon may lie, best first: the one that is named, else that of a build here, else a prebuilt one. */
export function addonPaths(): string[] {
  const named = process.env.EDGE_INFER_ADDON
  if (named) return [named]
  const prebuilt = findPlatformPackage()
  return [join(PACKAGE_ROOT, 'build', 'Release', 'edge_infer.node'), ...(prebuilt ? [prebuilt.addon] : [])]
}

function loadAddon(): Addon {
  if (addon !== undefined) return addon
  const paths = addonPaths()
  const path = paths.find((candidate) => existsSync(candidate))
  if (path === undefined) {
    throw new EdgeInferError(
      'RUNTIME_UNAVAILABLE', `There is no native addon (looked for ${paths.join(', ')}). Run ${buildCommand()}`)
  }
  expectMatchingVersion(path)
  try {
    addon = requireFrom(path) as Addon
  } catch (cause) {
    // It is the right addon, which says what it lacks.
    if (isErrorCode((cause as { code?: unknown }).code)) throw toEdgeInferError(cause)
    throw new EdgeInferError('RUNTIME_UNAVAILABLE', explainAddonFailure(path, cause), { cause })
  }
  return addon
}

function expectMatchingVersion(path: string): void {
  const prebuilt = findPlatformPackage()
  if (path !== prebuilt?.addon) return
  const { version } = requireFrom(join(PACKAGE_ROOT, 'package.json')) as { version: string }
  if (prebuilt.version === version) return
  throw new EdgeInferError(
    'RUNTIME_UNAVAILABLE', `Expected ${PLATFORM_PACKAGE} of the version of edge-infer, ${version}, but found ` +
      `${prebuilt.version}. Run "npm install ${PLATFORM_PACKAGE}@${version}" or ${buildCommand()}`)
}

function explainAddonFailure(path: string, cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const isPrebuilt = path === findPlatformPackage()?.addon
  const library = /(lib[\w+-]+\.so[.\d]*): cannot open shared object/.exec(reason)?.[1]
  if (library !== undefined && !isPrebuilt) {
    return `The native addon ${path} needs ${library}. Run "apt-get install --no-install-recommends libopencv-dev ` +
      `libjpeg-dev"; if another version is installed since it was built, build it here with ${buildCommand()}`
  }
  if (/failed to map segment|[Cc]annot allocate memory/.test(reason)) {
    return `The native addon ${path} cannot be loaded: ${reason}. There is too little memory for it (ulimit -v)`
  }
  const needs = isPrebuilt ? 'It needs glibc 2.31 or later' : 'It was built for another machine or Node.js'
  return `The native addon ${path} cannot be loaded: ${reason}. ${needs}; build it here with ${buildCommand()}`
}

/**
 * Loads the ONNX Runtime library, once a process: `path`, else `EDGE_INFER_ORT_LIBRARY`, else the platform package's,
 * else the one that was fetched at set-up or by `edge-infer build`, else the system's.
 * @throws EdgeInferError RUNTIME_UNAVAILABLE: what was tried, why each failed, and the remedy.
 */
export function loadRuntime(path?: string): RuntimeInfo {
  if (runtime !== undefined && (path === undefined || path === runtime.path)) return runtime
  const native = loadAddon()
  const failures: string[] = []
  for (const { source, path: candidate } of runtimePlaces(path)) {
    try {
      if (candidate === undefined) throw new Error('not installed')
      runtime = { ...native.loadRuntime(candidate), source }
      return runtime
    } catch (error) {
      failures.push(`${source}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  const remedy = path || process.env.EDGE_INFER_ORT_LIBRARY
    ? 'Name another one, or none to have it looked for'
    : `Run ${buildCommand()}, which fetches one, or ${OWN_RUNTIME}`
  throw new EdgeInferError(
    'RUNTIME_UNAVAILABLE', `No ONNX Runtime library can be loaded. ${remedy}.\n  ${failures.join('\n  ')}`)
}

/** Errors of the addon carry a code of the table; anything else is a fault of ours. */
export function toEdgeInferError(error: unknown): EdgeInferError {
  if (error instanceof EdgeInferError) return error
  if (error instanceof Error) {
    const code = (error as { code?: unknown }).code
    return new EdgeInferError(isErrorCode(code) ? code : 'INTERNAL', error.message, { cause: error })
  }
  return new EdgeInferError('INTERNAL', String(error))
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toEdgeInferError(error)
  }
}

let families: readonly FamilyInfo[] | undefined

export const native = {
  versions: (): NativeVersions => loadAddon().versions(),
  /** Every family, in the order of the registry. */
  families: (): readonly FamilyInfo[] => (families ??= loadAddon().families()),
  /** Loads and warms a model off the JavaScript thread. */
  createSession: (options: NativeSessionOptions): Promise<NativeSession> =>
    translated(async () => {
      loadRuntime()
      return loadAddon().createSession(options)
    }),
  /** The picture with the marks drawn on it, as a file of the extension, or raw BGR pixels for "raw". */
  annotate: (image: NativeImage, marks: readonly NativeMark[], extension: string, quality = 95): Promise<Buffer> =>
    translated(() => loadAddon().annotate(image, marks, extension, quality)),
  /**
   * Finds the images of a request's JSON and undoes their wire form, off the JavaScript thread.
   * @throws EdgeInferError BAD_REQUEST (no JSON object, the rest too large or too deep), BAD_IMAGE, TOO_LARGE.
   */
  extractImages: (body: Uint8Array): Promise<ExtractedRequest> => translated(() => loadAddon().extractImages(body)),
  /** What Python's `str(bytes)` writes. */
  encodeBytesLiteral: (bytes: Uint8Array): string => loadAddon().encodeBytesLiteral(bytes),
  /**
   * Frees a buffer's memory at once: memory outside V8's heap that waits for the garbage collector makes it collect all
   * of the heap, again and again. Nothing may read the buffer any more; it has no bytes afterwards. One that is a part
   * of a larger memory is left alone.
   */
  reclaim: (bytes: Uint8Array): void => loadAddon().reclaim(bytes),
  /** Of this process: has blocks of 4 MiB and more go back to the system when they are freed. For a server. */
  mapLargeBlocks: (): void => loadAddon().mapLargeBlocks(),
  /** `bytes` of memory to share; pages are taken when first written. */
  createSharedMemory: (bytes: number): SharedMemory => loadAddon().createSharedMemory(bytes),
  /** Gives pages back to the system; offset and length in bytes. */
  releaseSharedPages: (fd: number, offset: number, bytes: number): void =>
    loadAddon().releaseSharedPages(fd, offset, bytes),
  jobProtocol: (): JobProtocol => loadAddon().jobProtocol(),
  /** Takes the descriptors of a socket that jobs come over and of the shared memory their pictures lie in. */
  openJobServer: (socket: number, memory: number): NativeJobServer => loadAddon().openJobServer(socket, memory),
} as const
