/** What the server and its worker processes say to each other. */
import type { ErrorCode } from '../errors.js'
import type { TaskName } from '../models/index.js'
import type { NativeImage } from '../native.js'
import type { TaskOptions } from '../tasks/index.js'
import type { Job, JobItem, JobResult } from '../tasks/job.js'
import { cut } from './channel.js'

export interface WireError {
  code: ErrorCode
  message: string
}

/** A job without its pictures' bytes, which lie one behind the other in shared memory, or follow the header. */
export interface WireJob extends Omit<Job, 'images'> {
  images: WireImageHeader[]
}
type Headless<Image> = Image extends NativeImage ? Omit<Image, 'data'> & { bytes: number } : never
export type WireImageHeader = Headless<NativeImage>

/** A result without its pictures' bytes, which follow the header in order: each item's crops, then its drawing. */
export interface WireResult extends Omit<JobResult, 'items'> {
  items: (Omit<JobItem, 'crops' | 'rendered'> & { cropBytes: number[]; renderedBytes: number | undefined })[]
}

export type ToWorker =
  | { type: 'load'; task: TaskName; options: TaskOptions }
  | { type: 'run'; id: number; job: WireJob; shared?: { offset: number; bytes: number } | undefined }
  | { type: 'cancel'; id: number }
  /** Compute with another number of threads from the next job on. */
  | { type: 'threads'; threads: number }
  /** Finish what has been sent, then end. */
  | { type: 'stop' }

export type FromWorker =
  | { type: 'ready'; model: string; provider: string; warnings: string[] }
  | { type: 'failed'; error: WireError }
  | { type: 'result'; id: number; result: WireResult }
  | { type: 'error'; id: number; error: WireError }

export function packJob({ images, ...rest }: Job): { job: WireJob; data: Uint8Array[] } {
  const headers = images.map(({ data, ...header }) => ({ ...header, bytes: data.length }) as WireImageHeader)
  return { job: { ...rest, images: headers }, data: images.map(({ data }) => data) }
}

export function unpackJob({ images, ...rest }: WireJob, data: Buffer): Job {
  const parts = cut(data, images.map(({ bytes }) => bytes))
  return { ...rest, images: images.map((header, index) => ({ ...header, data: parts[index] }) as NativeImage) }
}

export function packResult({ items, ...rest }: JobResult): { result: WireResult; data: Uint8Array[] } {
  const headers = items.map(({ crops, rendered, ...item }) =>
    ({ ...item, cropBytes: crops.map(({ length }) => length), renderedBytes: rendered?.length }))
  const data = items.flatMap(({ crops, rendered }) => rendered ? [...crops, rendered] : crops)
  return { result: { ...rest, items: headers }, data }
}

export function unpackResult({ items, ...rest }: WireResult, data: Buffer): JobResult {
  const parts = cut(data, items.flatMap(({ cropBytes, renderedBytes }) =>
    renderedBytes === undefined ? cropBytes : [...cropBytes, renderedBytes]))
  return {
    ...rest,
    items: items.map(({ cropBytes, renderedBytes, ...item }) => ({
      ...item,
      crops: parts.splice(0, cropBytes.length),
      rendered: renderedBytes === undefined ? undefined : parts.shift(),
    })),
  }
}
