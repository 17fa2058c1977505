/**
 * Jobs and their answers on the way to a worker process and back. native/core/jobs/job_protocol.cc describes the
 * records that a header consists of; where a number lies in its record is asked of the addon, once.
 */
import { EdgeInferError, isErrorCode } from '../../errors.js'
import { native } from '../../native.js'
import type { Job, JobItem, JobResult } from '../../inference/job.js'

/** Place of each number in its record, and how many there are. */
type Layout<Name extends string> = Readonly<Record<Name | 'size', number>>

/** In place of an offset: the pictures are the message's data. */
const INLINE = -1

let layouts: ReturnType<typeof readLayouts> | undefined

function readLayouts() {
  const { version, records, flags, imageKinds, channelOrders } = native.jobProtocol()
  const layout = <Name extends string>(record: string, ...names: Name[]): Layout<Name> => {
    const places = records[record] ?? []
    const entries = names.map((name): [string, number] => [name, places.indexOf(name)])
    const absent = entries.find(([, place]) => place < 0)
    if (absent) throw new EdgeInferError('INTERNAL', `The addon's job protocol has no ${record}.${absent[0]}`)
    return Object.fromEntries([...entries, ['size', places.length]]) as Layout<Name>
  }
  return {
    version, imageKinds, channelOrders,
    flags: flags as Readonly<Record<'crops' | 'boxes' | 'render', number>>,
    job: layout('job', 'version', 'id', 'flags', 'offset', 'images', 'boxes'),
    image: layout('image', 'kind', 'width', 'height', 'channels', 'order', 'bytes'),
    box: layout('box', 'x1', 'y1', 'x2', 'y2'),
    answer: layout('answer', 'version', 'id', 'failed', 'decode', 'preprocess', 'inference', 'postprocess', 'encode',
      'wallSeconds', 'cpuSeconds', 'rssBytes', 'items'),
    item: layout('item', 'width', 'height', 'detections', 'poses', 'crops', 'renderedBytes'),
    detection: layout('detection', 'x1', 'y1', 'x2', 'y2', 'score', 'classId'),
    pose: layout('pose', 'yaw', 'pitch', 'roll'),
    crop: layout('crop', 'bytes'),
  }
}

/** `offset`: where in the shared memory the pictures' bytes lie, one behind the other; undefined: in the message. */
export function encodeJob(id: number, { images, boxes, crops, render }: Job, offset: number | undefined): Uint8Array {
  const { version, flags, imageKinds, channelOrders, job, image, box } = layouts ??= readLayouts()
  const boxCount = boxes?.length ?? 0
  const header = new Float64Array(job.size + image.size * images.length + box.size * boxCount)
  header[job.version] = version
  header[job.id] = id
  header[job.flags] = (crops ? flags.crops : 0) | (boxes ? flags.boxes : 0) | (render ? flags.render : 0)
  header[job.offset] = offset ?? INLINE
  header[job.images] = images.length
  header[job.boxes] = boxCount
  let at = job.size
  for (const picture of images) {
    header[at + image.kind] = imageKinds.indexOf(picture.kind)
    if (picture.kind === 'raw') {
      header[at + image.width] = picture.width
      header[at + image.height] = picture.height
      header[at + image.channels] = picture.channels
      header[at + image.order] = channelOrders.indexOf(picture.order)
    }
    header[at + image.bytes] = picture.data.length
    at += image.size
  }
  for (const [x1, y1, x2, y2] of boxes ?? []) {
    header[at + box.x1] = x1
    header[at + box.y1] = y1
    header[at + box.x2] = x2
    header[at + box.y2] = y2
    at += box.size
  }
  return new Uint8Array(header.buffer)
}

export type JobAnswer = { id: number } & ({ result: Omit<JobResult, 'labels'> } | { error: EdgeInferError })

/** @throws EdgeInferError INTERNAL for what is no answer, or one of another version. */
export function decodeAnswer(header: Uint8Array, data: Buffer): JobAnswer {
  const { version, answer, item, detection, pose, crop } = layouts ??= readLayouts()
  const numbers = new Float64Array(Math.floor(header.length / Float64Array.BYTES_PER_ELEMENT))
  if (numbers.byteLength !== header.length) malformed(`its header has ${header.length} bytes`)
  new Uint8Array(numbers.buffer).set(header)
  /** Number `place` of the record that begins at `start`. Everything that is read was counted before. */
  const read = (start: number, place: number): number => numbers[start + place] as number
  if (numbers.length <= answer.failed) malformed(`its header has ${numbers.length} numbers`)
  if (read(0, answer.version) !== version) {
    const received = read(0, answer.version)
    malformed(`it is of version ${received} of the job protocol and this server knows version ${version}`)
  }
  const id = read(0, answer.id)
  if (read(0, answer.failed)) return { id, error: decodeError(data) }
  let at = 0
  /** Where `count` records of that size begin. */
  const take = (count: number, size: number): number => {
    const start = at
    if (!Number.isInteger(count) || count < 0 || count * size > numbers.length - at) {
      malformed(`${count} records of ${size} numbers do not fit into the ${numbers.length - at} that are left`)
    }
    at += count * size
    return start
  }
  let byte = 0
  const cut = (bytes: number): Buffer => {
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > data.length - byte) {
      malformed(`a picture of ${bytes} bytes does not fit into the ${data.length - byte} that are left`)
    }
    return data.subarray(byte, byte += bytes)
  }
  const readItem = (): JobItem => {
    const start = take(1, item.size)
    const [boxes, scores, classIds]: [JobItem['boxes'], number[], number[]] = [[], [], []]
    for (let i = take(read(start, item.detections), detection.size); i < at; i += detection.size) {
      boxes.push([read(i, detection.x1), read(i, detection.y1), read(i, detection.x2), read(i, detection.y2)])
      scores.push(read(i, detection.score))
      classIds.push(read(i, detection.classId))
    }
    const angles: JobItem['angles'] = []
    for (let i = take(read(start, item.poses), pose.size); i < at; i += pose.size) {
      angles.push([read(i, pose.yaw), read(i, pose.pitch), read(i, pose.roll)])
    }
    const crops: Buffer[] = []
    for (let i = take(read(start, item.crops), crop.size); i < at; i += crop.size) crops.push(cut(read(i, crop.bytes)))
    const renderedBytes = read(start, item.renderedBytes)
    return {
      width: read(start, item.width), height: read(start, item.height), boxes, scores, classIds, angles, crops,
      rendered: renderedBytes === -1 ? undefined : cut(renderedBytes),
    }
  }
  take(1, answer.size)
  const count = read(0, answer.items)
  if (!Number.isInteger(count) || count < 0) malformed(`it counts ${count} items`)
  const items: JobItem[] = []
  while (items.length < count) items.push(readItem())
  if (at !== numbers.length) malformed(`${numbers.length - at} numbers are left`)
  return {
    id,
    result: {
      items,
      timings: {
        decode: read(0, answer.decode), preprocess: read(0, answer.preprocess), inference: read(0, answer.inference),
        postprocess: read(0, answer.postprocess), encode: read(0, answer.encode),
      },
      usage: {
        wallSeconds: read(0, answer.wallSeconds), cpuSeconds: read(0, answer.cpuSeconds),
        rssBytes: read(0, answer.rssBytes),
      },
    },
  }
}

function malformed(why: string): never {
  throw new EdgeInferError('INTERNAL', `A worker's answer cannot be read: ${why}`)
}

/** @throws EdgeInferError RUNTIME_UNAVAILABLE when the other side of a channel speaks another version. */
export function expectSameProtocol(other: 'server' | 'worker', version: unknown): void {
  const own = native.jobProtocol().version
  if (version === own) return
  throw new EdgeInferError('RUNTIME_UNAVAILABLE',
    `Expected a ${other} of version ${own} of the job protocol but this one is of version ${String(version)}: ` +
      'the server and its workers must be the same build of edge-infer. Restart the server')
}

function decodeError(data: Buffer): EdgeInferError {
  const text = data.toString()
  const end = text.indexOf('\n')
  const code = text.slice(0, end)
  return new EdgeInferError(isErrorCode(code) ? code : 'INTERNAL', text.slice(end + 1))
}
