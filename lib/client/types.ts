/** The documented interface, as types: what each route takes and answers. Keys are spelled as on the wire. */
import type { Static, TObject, TSchema } from 'typebox'
import type { ClusterView, NodeRole, NodeStatus, NodeView, ServiceState, WorkerState } from '../cluster/types.js'
import type { TaskName, TaskSchemas } from '../tasks/registry.js'
import type { AnswerStyle, TaskConf as FullTaskConf } from '../tasks/schema.js'
import type { DeviceState, FlatStatus } from '../host/device-state.js'
import type { BoundingBox } from '../inference/detector.js'
import type { WireLimits, WireEffectiveLimits } from '../workers/limits/registry.js'
import type { ProcResourceInfo as FullResourceInfo } from '../workers/resource-info.js'
import type { ClientImage } from './image.js'

export type {
  BoundingBox, ClusterView, DeviceState, FlatStatus,
  NodeRole, NodeStatus, NodeView, ServiceState, TaskName, WorkerState,
}
export type { FaceBoxes, HelmetBoxes, HelmetDetails, WireDetection, WireHeadPose } from '../tasks/registry.js'

/**
 * What running a task cost the worker, and the caller: `all_latency` is the seconds from sending the request to having
 * the whole reply, as this client measured them. Older nodes send no `latency`.
 */
export type ProcResourceInfo = Omit<FullResourceInfo, 'latency'> & Partial<Pick<FullResourceInfo, 'latency'>>

/**
 * Frames a second of the stream, `null` where nobody said; pixels of the frame, filled in by the server from the
 * picture where the caller gave none.
 */
export type TaskConf = { [Member in keyof FullTaskConf]?: FullTaskConf[Member] | null }

/** What every answer of a task carries. */
export interface TaskAnswer {
  execute_flag: true
  /** Of the slowest worker, where several shared the work. */
  proc_resource_info: ProcResourceInfo
  /** One entry a worker, so at least one; `proc_resource_info` alone where an older node sends no list. */
  proc_resource_info_list: ProcResourceInfo[]
  task_conf: TaskConf
  /**
   * With `render`: the frame with its results drawn on it; see {@link decodeImage}. Unless `render` is false also of
   * face_alignment with `image` and no `faces`, and of tasks that the server renders (`serve --render`).
   */
  image?: string
}

/** The task's own members of an answer; `Style`: of the route. */
type Members<Name extends TaskName, Style extends AnswerStyle> = Static<TObject<TaskSchemas[Name]['answers'][Style]>>

/** `/execute_task_old`. */
export type OldAnswers = { [Name in TaskName]: TaskAnswer & Members<Name, 'old'> }

/** `/execute_task` and `/execute_task_new`. */
export type NewAnswers = { [Name in TaskName]: TaskAnswer & Members<Name, 'new'> }

/** One picture of a list. */
type Item<Name extends TaskName> = Static<TObject<TaskSchemas[Name]['item']>> & Pick<TaskAnswer, 'image'>

/** Tasks that answer a list as one. */
type ClipTask = { [Name in TaskName]: TaskSchemas[Name]['clip'] extends true ? Name : never }[TaskName]

/** `/concurrent_execute_task_new` with `image_list`: one item a picture, in order. */
export type ListAnswers = {
  [Name in TaskName]: TaskAnswer & { output_ctx_list: Item<Name>[] } &
    (Name extends ClipTask ? Members<Name, 'concurrent'> : unknown)
}

/** `/concurrent_execute_task_new` with the input of a single request. */
export type MergedAnswers = { [Name in Exclude<TaskName, ClipTask>]: TaskAnswer & Members<Name, 'concurrent'> }

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

type Pictures = 'image' | 'faces' | 'image_list' | 'clip'
type Request<Name extends TaskName> = TaskSchemas[Name]['request']
type Posted<Name extends TaskName, Member extends keyof Request<Name>> = Member extends 'image' ? ClientImage
  : Member extends Pictures ? readonly ClientImage[]
    : Request<Name>[Member] extends TSchema ? Static<Request<Name>[Member]> : never

/** `Members` make it together; `More` may come with them. */
type Input<Name extends TaskName, Members extends keyof Request<Name>, More extends keyof Request<Name>> =
  AnyInput & { [Member in Members]: Posted<Name, Member> } & { [Member in More]?: Posted<Name, Member> }

type SingleInput<Name extends TaskName, Members = TaskSchemas[Name]['inputs']['single'][number]> =
  Members extends readonly (keyof Request<Name>)[]
    ? Input<Name, Members[number], Exclude<keyof Request<Name>, Pictures | Members[number]>> : never

type ListInput<Name extends TaskName, Members = TaskSchemas[Name]['inputs']['list'][number]> =
  Members extends readonly (keyof Request<Name>)[] ? Input<Name, Members[number], never> : never

/** Inputs of `/execute_task`, `/execute_task_new` and `/execute_task_old`. */
export type TaskInputs = { [Name in TaskName]: SingleInput<Name> }

/** Inputs of `/concurrent_execute_task_new` that make independent items. */
export type ListInputs = { [Name in TaskName]: ListInput<Name> }

/** Faces cut out already; each is used whole. The answer that found them is one. */
export type FacesInput = Extract<TaskInputs[TaskName], { faces: unknown }>

/** A frame, and where its faces are, pixels. */
export type FaceBoxesInput = Extract<TaskInputs[TaskName], { image: unknown; bbox: unknown }>

/** `clip` is the older name of `image_list`. */
export type HelmetInput = ImageListInput | ImageInput | Extract<TaskInputs[TaskName], { clip: unknown }>

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

/** Keyed like {@link SystemStatus}; the figures of {@link FlatStatus} beside the document's, but of older clouds. */
export type ClusterInfo = Record<string, NodeStatus & Partial<FlatStatus> & { node_role: NodeRole }>

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

/**
 * Shares of the machine in (0, 1], ids of CPUs and memory nodes; at least one member. All take effect, or none; but a
 * memory limit that is too low (LIMIT_TOO_LOW) keeps no other from taking effect.
 */
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
  /** Of the worker that has ended; absent where it had no process yet. */
  pid?: number
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
