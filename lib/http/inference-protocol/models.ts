/** The tasks as models of the protocol: their tensors, and from these to jobs and from results to these. */
import { received } from '../../errors.js'
import type { TaskKind } from '../../tasks/definition.js'
import { definitionOf, isTaskOfKind, type TaskName } from '../../tasks/registry.js'
import type { NativeImage } from '../../native.js'
import type { BoundingBox } from '../../tasks/index.js'
import type { Job, JobItem, JobResult } from '../../inference/job.js'
import type { WorkerInfo } from '../../workers/types.js'
import { split } from '../../tasks/plan.js'
import { refuse, elementCount, readByteElements, readNumbers } from './tensors.js'
import type { DataType, InputTensor, OutputTensor, TensorMetadata } from './tensors.js'

export const MODEL_VERSION = '1'
export const PLATFORM = 'onnxruntime_onnx'

const CPU_PROVIDER = 'CPUExecutionProvider'

/** Pictures of one request. */
const MAX_IMAGES = 64
const MAX_BOXES = 750

const IMAGE: TensorMetadata = { name: 'image', datatype: 'BYTES', shape: [-1] }
const BOXES: TensorMetadata = { name: 'boxes', datatype: 'FP32', shape: [-1, 4] }
const IMAGE_INDEX: TensorMetadata = { name: 'image_index', datatype: 'INT32', shape: [-1] }
const IMAGE_SIZE: TensorMetadata = { name: 'image_size', datatype: 'INT32', shape: [-1, 2] }

const DETECTION = {
  inputs: [IMAGE],
  outputs: [
    BOXES,
    { name: 'scores', datatype: 'FP32', shape: [-1] },
    { name: 'class_ids', datatype: 'INT32', shape: [-1] },
    { name: 'labels', datatype: 'BYTES', shape: [-1] },
    IMAGE_INDEX,
    IMAGE_SIZE,
  ],
} as const satisfies Tensors

const HEAD_POSE = {
  inputs: [IMAGE, BOXES],
  outputs: [{ name: 'angles', datatype: 'FP32', shape: [-1, 3] }, IMAGE_INDEX, IMAGE_SIZE],
} as const satisfies Tensors

const TENSORS: Readonly<Record<TaskKind, Tensors>> = { detection: DETECTION, head_pose: HEAD_POSE }

interface Tensors {
  /** The picture, and what can go with it. */
  inputs: readonly [TensorMetadata, ...TensorMetadata[]]
  outputs: readonly TensorMetadata[]
}

export function tensorsOf(task: TaskName): Tensors {
  return TENSORS[definitionOf(task).kind]
}

/** Triton's names of data types. */
const CONFIG_TYPES: Readonly<Record<DataType, string>> = {
  UINT8: 'TYPE_UINT8', INT32: 'TYPE_INT32', FP32: 'TYPE_FP32', FP64: 'TYPE_FP64', BYTES: 'TYPE_STRING',
}

/** The task as a model configuration of Triton; its instances are the workers. */
export function configOf(task: TaskName, workers: readonly Pick<WorkerInfo, 'model' | 'provider'>[]): object {
  const model = workers[0]?.model
  const kinds = workers.map(({ provider }) => provider === CPU_PROVIDER ? 'KIND_CPU' : 'KIND_GPU')
  const { inputs, outputs } = tensorsOf(task)
  const describe = ({ name, datatype, shape }: TensorMetadata): object =>
    ({ name, data_type: CONFIG_TYPES[datatype], dims: shape })
  return {
    name: task,
    platform: PLATFORM,
    backend: 'onnxruntime',
    version_policy: { latest: { num_versions: 1 } },
    // The number of pictures is a dimension of the tensors.
    max_batch_size: 0,
    input: inputs.map((tensor) => ({ ...describe(tensor), optional: tensor !== IMAGE })),
    output: outputs.map(describe),
    instance_group: [...new Set(kinds)].map((kind, index) => ({
      name: `${task}_${index}`, kind, count: kinds.filter((other) => other === kind).length,
    })),
    model_transaction_policy: { decoupled: false },
    parameters: model === undefined ? {} : { model: { string_value: model } },
  }
}

/** The jobs a request takes, at most one a worker. @throws EdgeInferError BAD_REQUEST. */
export function jobsOf(task: TaskName, inputs: ReadonlyMap<string, InputTensor>, workers: number): Job[] {
  const known = tensorsOf(task).inputs.map(({ name }) => name)
  const unknown = [...inputs.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) refuse(`Expected inputs of ${known.join(', ')} for ${task} but received ${unknown}`)
  const image = inputs.get('image')
  if (!image) return refuse(`Expected the input image of ${task} but received none`)
  const images = readImages(image)
  const boxes = inputs.get('boxes')
  if (!boxes) return split(images, workers).map((part) => ({ images: part }))
  if (images.length !== 1) refuse(`Expected one image beside boxes but received ${images.length}`)
  return [{ images, boxes: readBoxes(boxes) }]
}

function readImages(tensor: InputTensor): NativeImage[] {
  if (tensor.datatype === 'UINT8') return [readPixels(tensor)]
  if (tensor.datatype !== 'BYTES') refuse(`Expected BYTES or UINT8 of image but received ${tensor.datatype}`)
  const count = elementCount(tensor.shape)
  if (count < 1 || count > MAX_IMAGES) refuse(`Expected 1 to ${MAX_IMAGES} images but received ${count}`)
  if (tensor.bytes) return readByteElements(tensor, tensor.bytes).map((data) => ({ kind: 'encoded', data }))
  return (tensor.data ?? []).map((text) => {
    if (text instanceof Uint8Array) return { kind: 'encoded', data: text }
    if (typeof text !== 'string') refuse('Expected each element of image to be a picture file in base64')
    return { kind: 'json', data: Buffer.from(JSON.stringify(text)) }
  })
}

/** Rows of pixels: height × width, or height × width × 3 in the order of the parameter `color_order`. */
function readPixels({ shape, bytes, parameters }: InputTensor): NativeImage {
  const [height = 0, width = 0, channels = 1] = shape
  if (shape.length < 2 || shape.length > 3 || height < 1 || width < 1 || (channels !== 1 && channels !== 3)) {
    refuse(`Expected pixels of a shape [height, width, 3] but received [${shape.join(', ')}]`)
  }
  const order = parameters.color_order ?? 'bgr'
  if (order !== 'bgr' && order !== 'rgb') {
    refuse(`Expected color_order to be bgr or rgb but received ${received(order)}`)
  }
  return { kind: 'raw', data: bytes as Buffer, width, height, channels, order }
}

function readBoxes(tensor: InputTensor): BoundingBox[] {
  const [count = 0, sides] = tensor.shape
  if (tensor.shape.length !== 2 || sides !== 4 || count > MAX_BOXES) {
    refuse(`Expected the shape of boxes to be [n, 4], n up to ${MAX_BOXES}, but received [${tensor.shape.join(', ')}]`)
  }
  const numbers = readNumbers(tensor)
  return Array.from({ length: count }, (_, index) => numbers.slice(4 * index, 4 * index + 4) as BoundingBox)
}

/** All the tensors of an answer; the pictures' objects one behind the other, `image_index` telling whose they are. */
export function answerOf(task: TaskName, results: readonly JobResult[]): OutputTensor[] {
  const items = results.flatMap(({ items: some }) => some)
  const perObject = (data: (item: JobItem) => readonly number[]): number[] => items.flatMap((item) => [...data(item)])
  const labels = results.flatMap((result) => result.items.flatMap(({ classIds }) =>
    classIds.map((id) => result.labels[id] ?? String(id))))
  const values: Record<string, readonly string[] | readonly number[]> = {
    boxes: perObject(({ boxes }) => boxes.flat()),
    scores: perObject(({ scores }) => scores),
    class_ids: perObject(({ classIds }) => classIds),
    labels,
    angles: perObject(({ angles }) => angles.flat()),
    image_index: items.flatMap(({ boxes, angles }, index) =>
      (isTaskOfKind('head_pose', task) ? angles : boxes).map(() => index)),
    image_size: items.flatMap(({ width, height }) => [width, height]),
  }
  return tensorsOf(task).outputs.map((tensor) => {
    const data = values[tensor.name] ?? []
    const [, ...inner] = tensor.shape
    return { ...tensor, shape: [data.length / elementCount(inner), ...inner], data }
  })
}
