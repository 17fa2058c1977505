/** The only file that loads the native addon. It types every export and explains a load that failed. */
import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EdgeInferError, isErrorCode } from './errors.js'

/** How the head of a model turns output tensors into results; one C++ file each in `native/core/heads`. */
export const DETECTION_FAMILIES = ['yolov8', 'yolov5', 'yolox', 'ultraface'] as const
export const HEAD_POSE_FAMILIES = ['hopenet', 'fsanet'] as const
export type DetectionFamily = (typeof DETECTION_FAMILIES)[number]
export type HeadPoseFamily = (typeof HEAD_POSE_FAMILIES)[number]
export type ModelFamily = DetectionFamily | HeadPoseFamily

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
  /** Pixels; needed where the model leaves its height and width open, refused where they differ from a baked size. */
  inputSize?: { width: number; height: number } | undefined
  /** Number of classes the head must find in the output tensors (detection families). */
  classCount?: number | undefined
  /** UltraFace only: whether the model's boxes are corner coordinates already, or offsets from priors. */
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

/** An image as the addon takes it. `json` is the text of one JSON value: a string in any wire form, or a nested list. */
export type NativeImage =
  | { kind: 'encoded'; data: Uint8Array }
  | { kind: 'raw'; data: Uint8Array; width: number; height: number; channels: number; order: ChannelOrder }
  | { kind: 'json'; data: Uint8Array }

/** The form an image arrived in, which is the form images are answered in. */
export type WireForm = 'encoded' | 'raw' | 'bytes-literal' | 'base64' | 'data-url' | 'latin1' | 'nested-list'

/** Milliseconds of each stage of one call. */
export interface StageTimings {
  decode: number
  preprocess: number
  inference: number
  postprocess: number
  encode: number
}

export interface NativeDetectOptions {
  scoreThreshold: number
  iouThreshold: number
  maxDetections: number
  /** Class ids to keep; all when absent. */
  classes?: readonly number[] | undefined
  /** Answer a JPEG of each detection: a square of side `(1 + 2 * margin) * longer side`, borders replicated. */
  crops?: { margin: number; quality: number } | undefined
  /** Decode every pixel of the frame, where otherwise a reduced decode would serve. */
  fullDecode?: boolean | undefined
}

export interface NativeDetections {
  /** Size of the posted frame, pixels. */
  width: number
  height: number
  form: WireForm
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
  /** Size of the first image, pixels. */
  width: number
  height: number
  form: WireForm
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

export interface NativeSession {
  readonly inputs: TensorInfo[]
  readonly outputs: TensorInfo[]
  readonly provider: string
  readonly warnings: string[]
  /** Runs a detection family on one image. Rejects with the code ABORTED after `cancel(token)`. */
  detect(image: NativeImage, options: NativeDetectOptions, token: number): Promise<NativeDetections>
  /** Runs a head-pose family on one image with boxes, or on many faces. */
  headPose(images: readonly NativeImage[], options: NativeHeadPoseOptions, token: number): Promise<NativeHeadPoses>
  /** Stops the call of that token, queued or running. Unknown tokens are ignored. */
  cancel(token: number): void
  /** Requests queued or running. */
  readonly pending: number
  /** Resolves when the running calls have ended and the model is freed; queued calls reject with CLOSED. */
  close(): Promise<void>
}
