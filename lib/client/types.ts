/** The documented interface, as types: what each route takes and answers. Keys are spelled as on the wire. */
import type { ClusterView, NodeRole, NodeStatus, NodeView, ServiceState, WorkerState } from '../cluster/types.js'
import type { TaskName } from '../tasks/registry.js'
import type { DeviceState } from '../host/device-state.js'
import type { BoundingBox } from '../inference/detector.js'
import type { WireEffectiveLimits, WireLimits } from '../workers/limits/registry.js'
import type { ClientImage } from './image.js'

export type {
  BoundingBox, ClusterView, DeviceState, NodeRole, NodeStatus, NodeView, ServiceState, TaskName, WorkerState,
}

/** What running a task cost the worker, and the caller. Utilisations are shares of the whole machine, [0, 1]. */
export interface ProcResourceInfo extends WireEffectiveLimits {
  /** CPU time of the worker over the task's wall time, divided by the number of cores. */
  cpu_util_use: number
  /** Resident memory of the worker as a share of the machine's. */
  mem_util_use: number
  /** Seconds the worker computed. */
  compute_latency: number
  /** An older name of `compute_latency`. */
  latency?: number
  pid: number
  /** Seconds from sending the request to having the whole reply, as this client measured them. */
  all_latency: number
  /** Address of the node that ran the task: as it advertises itself, else as it was asked. */
  device_ip: string
}

export interface TaskConf {
  /** Frames a second of the stream; `null` where nobody said. */
  fps?: number | null
  /** Pixels of the frame; filled in by the server from the picture where the caller gave none. */
  resolution?: { w: number | null; h: number | null } | null
}

/** What every answer of a task carries. */
export interface TaskAnswer {
  execute_flag: true
  /** Of the slowest worker, where several shared the work. */
  proc_resource_info: ProcResourceInfo
  /** One entry a worker. */
  proc_resource_info_list?: ProcResourceInfo[]
  task_conf: TaskConf
  /** With `render`: the frame with its results drawn on it; see {@link decodeImage}. */
  image?: string
}

/** Faces of one picture; lists run parallel, best first. */
export interface FaceBoxes {
  /** Pixels of the posted picture. */
  bbox: BoundingBox[]
  /** Confidence, [0, 1]. */
  prob: number[]
}

/** `[yaw, pitch, roll, cx, cy, half_height]`: degrees; pixels. */
export type WireHeadPose = [yaw: number, pitch: number, roll: number, cx: number, cy: number, halfHeight: number]

/** `[x1, y1, x2, y2, confidence, class_id]`: pixels, [0, 1], COCO class (2 is a car). */
export type WireDetection = [x1: number, y1: number, x2: number, y2: number, confidence: number, classId: number]

/** Heads in all frames of a clip. */
export interface HelmetBoxes {
  bbox_list: BoundingBox[]
  /** Heads, and heads without a helmet, of each frame. */
  clip_result: { ntotal: number; n_no_helmet: number }[]
}

/** {@link HelmetBoxes} with parallel lists of what each box is. */
export interface HelmetDetails extends HelmetBoxes {
  prob: number[]
  /** `helmet` or `head`. */
  label: string[]
  /** Which frame of the clip the box lies in, from 0. */
  frame_index: number[]
}

/** `/execute_task_old`. */
export interface OldAnswers {
  face_detection: TaskAnswer & FaceBoxes
  face_alignment: TaskAnswer & { bbox: BoundingBox[]; head_pose: WireHeadPose[] }
  car_detection: TaskAnswer & { result: WireDetection[] }
  helmet_detection: TaskAnswer & HelmetBoxes
}

/** `/execute_task` and `/execute_task_new`. */
export interface NewAnswers {
  face_detection: TaskAnswer & FaceBoxes & {
    /** A picture of each face, ready to be posted to face_alignment; see {@link decodeImage}. */
    faces: string[]
  }
  face_alignment: TaskAnswer & {
    /** Faces whose pitch is above -10 degrees, and all faces. */
    count_result: { up: number; total: number }
    head_pose: WireHeadPose[]
    bbox: BoundingBox[]
  }
  car_detection: TaskAnswer & {
    result: WireDetection[]
    /** Name of the class of each, in the order of `result`. */
    label: string[]
    /** How many there are of each class, by its name. */
    count_result: Record<string, number>
  }
  helmet_detection: TaskAnswer & HelmetDetails
}

/** What the concurrent route adds: the workers that shared the work. */
interface Shared {
  proc_resource_info_list: ProcResourceInfo[]
}

/** `/concurrent_execute_task_new` with `image_list`: one item a picture, in order. */
export interface ListAnswers {
  face_detection: TaskAnswer & Shared & { output_ctx_list: (FaceBoxes & { image?: string })[] }
  face_alignment: TaskAnswer & Shared & { output_ctx_list: { head_pose: WireHeadPose[] }[] }
  car_detection: TaskAnswer & Shared & { output_ctx_list: { result: WireDetection[]; image?: string }[] }
  helmet_detection: TaskAnswer & Shared & HelmetDetails & { output_ctx_list: { bbox_list: BoundingBox[] }[] }
}

/** `/concurrent_execute_task_new` with the input of a single request. */
export type MergedAnswers = { [Name in Exclude<TaskName, 'helmet_detection'>]: NewAnswers[Name] & Shared }

interface AnyInput {
  /** Echoed in the answer; the option of the call wins. */
  task_conf?: TaskConf
}

export interface ImageInput extends AnyInput {
  image: ClientImage
}

/** Pictures in order; at most 64. */
export interface ImageListInput extends AnyInput {
  image_list: readonly ClientImage[]
}

/** Faces cut out already; each is used whole. The answer of face_detection is one. */
export interface FacesInput extends AnyInput {
  faces: readonly ClientImage[]
  /** Where each face lies in its frame, pixels. */
  bbox?: readonly (readonly number[])[]
  prob?: readonly number[]
}

/** A frame, and where its faces are, pixels. */
export interface FaceBoxesInput extends AnyInput {
  image: ClientImage
  bbox: readonly (readonly number[])[]
  prob?: readonly number[]
}

/** `clip` is the older name of `image_list`. */
export type HelmetInput = ImageListInput | ImageInput | (AnyInput & { clip: readonly ClientImage[] })

/** Inputs of `/execute_task`, `/execute_task_new` and `/execute_task_old`. */
export interface TaskInputs {
  face_detection: ImageInput
  face_alignment: FacesInput | FaceBoxesInput
  car_detection: ImageInput
  helmet_detection: HelmetInput
}

/** Inputs of `/concurrent_execute_task_new` that make independent items. */
export interface ListInputs {
  face_detection: ImageListInput
  face_alignment: ImageListInput
  car_detection: ImageListInput
  helmet_detection: HelmetInput
}

/** What {@link ExecuteUrls} says of one node. Old nodes give the documented four keys only. */
export interface ExecuteUrl {
  /** Where to POST the task. */
  url: string
  /** MB (10^6 bytes) a second the node moves now. */
  bandwidth: number
  /** Free share of the CPU, [0, 1]. */
  cpu: number
  /** Free share of the memory, [0, 1]. */
  mem: number
  /** Percent busy, one entry a core. */
  cpu_ratio?: number[]
  /** Percent in use. */
  mem_ratio?: number
  n_cpu?: number
}

/** Keyed `ip:port`. */
export type ExecuteUrls = Record<string, ExecuteUrl>

/** Keyed by the node's IP (`ip:port` where two nodes share one). */
export interface SystemStatus {
  cloud: Record<string, NodeStatus>
  host: Record<string, NodeStatus>
}

/** Keyed like {@link SystemStatus}. */
export type ClusterInfo = Record<string, NodeStatus & { node_role: NodeRole }>

/** How a new worker's model is set up; what is left out is as by default. */
export interface ModelCtx {
  /** A name of the catalogue, or a path on the node. */
  weights?: string
  /** `cpu`, `cuda:0`, `tensorrt:0`. */
  device?: string
  conf_thres?: number
  iou_thres?: number
  max_det?: number
  classes?: readonly number[]
  /** Pixels, for models that leave it open. */
  input_size?: number | readonly [height: number, width: number]
  threads?: number
}

/** Shares of the whole machine in (0, 1], ids of CPUs and memory nodes; at least one member. All of them take effect, or none. */
export type ResourceLimits = WireLimits

export interface CreateReply {
  create_flag: true
  /** Of the new worker. */
  pid: number
  task_name: TaskName
  /** Name of its model. */
  model: string
}

export interface DecreaseReply {
  decrease_flag: true
  /** Of the worker that has ended. */
  pid: number
  task_name: TaskName
}

/** With the limits as the kernel has them now; 1 where there is none. */
export interface LimitReply extends WireEffectiveLimits {
  limit_flag: true
  /** Of the worker, where one was limited. */
  pid?: number
  /** Where a task was limited. */
  task_name?: TaskName
}
