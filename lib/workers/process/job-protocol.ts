/**
 * Jobs and their answers on the way to a worker process and back, as native/core/jobs/job_protocol.h reads and writes
 * them:
 * headers are lists of 64-bit floating-point numbers.
 */
import { EdgeInferError, isErrorCode } from '../../errors.js'
import type { NativeImage } from '../../native.js'
import type { Job, JobItem, JobResult } from '../../inference/job.js'

const FLAGS = { crops: 1, boxes: 2, render: 4 }
const KINDS = ['encoded', 'raw', 'json'] satisfies NativeImage['kind'][]
const ORDERS = ['rgb', 'bgr']
const NUMBERS_BEFORE_IMAGES = 5
const NUMBERS_AN_IMAGE = 6
/** In place of an offset: the pictures are the message's data. */
const INLINE = -1

/** `offset`: where in the shared memory the pictures' bytes lie, one behind the other; undefined: in the message. */
export function encodeJob(id: number, { images, boxes, crops, render }: Job, offset: number | undefined): Uint8Array {
  const boxCount = boxes?.length ?? 0
  const header = new Float64Array(NUMBERS_BEFORE_IMAGES + NUMBERS_AN_IMAGE * images.length + 4 * boxCount)
  const flags = (crops ? FLAGS.crops : 0) | (boxes ? FLAGS.boxes : 0) | (render ? FLAGS.render : 0)
  let at = 0
  const put = (...numbers: number[]): void => { for (const number of numbers) header[at++] = number }
  put(id, flags, offset ?? INLINE, images.length, boxCount)
  for (const image of images) {
    put(KINDS.indexOf(image.kind))
    if (image.kind === 'raw') put(image.width, image.height, image.channels, ORDERS.indexOf(image.order))
    else put(0, 0, 0, 0)
    put(image.data.length)
  }
  for (const box of boxes ?? []) put(...box)
  return new Uint8Array(header.buffer)
}

export type JobAnswer = { id: number } & ({ result: Omit<JobResult, 'labels'> } | { error: EdgeInferError })

export function decodeAnswer(header: Uint8Array, data: Buffer): JobAnswer {
  const numbers = new Float64Array(header.length / Float64Array.BYTES_PER_ELEMENT)
  new Uint8Array(numbers.buffer).set(header)
  let at = 0
  const next = (): number => numbers[at++] as number
  const [id, failed] = [next(), next()]
  if (failed) return { id, error: decodeError(data) }
  const timings = { decode: next(), preprocess: next(), inference: next(), postprocess: next(), encode: next() }
  const usage = { wallSeconds: next(), cpuSeconds: next(), rssBytes: next() }
  let byte = 0
  const cut = (bytes: number): Buffer => data.subarray(byte, byte += bytes)
  const items = Array.from({ length: next() }, (): JobItem => {
    const [width, height, detections, poses, crops, rendered] = [next(), next(), next(), next(), next(), next()]
    const item: JobItem = {
      width, height, boxes: [], scores: [], classIds: [], angles: [], crops: [], rendered: undefined,
    }
    for (let i = 0; i < detections; i++) {
      item.boxes.push([next(), next(), next(), next()])
      item.scores.push(next())
      item.classIds.push(next())
    }
    for (let i = 0; i < poses; i++) item.angles.push([next(), next(), next()])
    for (let i = 0; i < crops; i++) item.crops.push(cut(next()))
    if (rendered >= 0) item.rendered = cut(rendered)
    return item
  })
  return { id, result: { items, timings, usage } }
}

function decodeError(data: Buffer): EdgeInferError {
  const text = data.toString()
  const end = text.indexOf('\n')
  const code = text.slice(0, end)
  return new EdgeInferError(isErrorCode(code) ? code : 'INTERNAL', text.slice(end + 1))
}
