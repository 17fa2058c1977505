/** From a request to the jobs it takes, and from their results to the answer of the interface document. */
import { EdgeInferError } from '../errors.js'
import type { ImageEncoding } from '../native.js'
import type { Job, JobItem, JobResult } from '../inference/job.js'
import { encodeImage } from './encode-image.js'
import type { PostedImage, TaskRequest } from './request.js'
import type { AnswerStyle } from './schema.js'

export interface Plan {
  /** Independent of each other; at least one. */
  jobs: Job[]
  /** Size of the posted picture, from the results in the order of the jobs; undefined where there was none. */
  resolution(results: readonly JobResult[]): { w: number; h: number } | undefined
  /** The task's own members of the answer, from the results in the order of the jobs. */
  answer(results: readonly JobResult[]): Record<string, unknown>
}

/**
 * `workers`: how many workers can share the work of a concurrent request.
 * @throws EdgeInferError BAD_REQUEST, BAD_IMAGE when the task's inputs are missing or do not fit together.
 */
export type Planner = (request: TaskRequest, style: AnswerStyle, workers: number) => Plan

/** The results of all jobs, one item a picture, in the order of the request. */
export function itemsOf(results: readonly JobResult[]): JobItem[] {
  return results.flatMap(({ items }) => items)
}

export function firstResolution(results: readonly JobResult[]): { w: number; h: number } | undefined {
  const first = itemsOf(results)[0]
  return first && { w: first.width, h: first.height }
}

/** Cuts a list into at most `parts` runs of nearly the same length; one empty run when there is nothing. */
export function split<T>(list: readonly T[], parts: number): T[][] {
  const count = Math.max(1, Math.min(parts, list.length))
  return Array.from({ length: count }, (_, index) => {
    const [begin, end] = [index, index + 1].map((edge) => Math.round(edge * list.length / count))
    return list.slice(begin, end)
  })
}

/** One job a run of pictures, so that a request is shared by the workers. */
export function jobsFor(images: readonly PostedImage[], workers: number, options: Omit<Job, 'images'>): Job[] {
  return split(images, workers).map((part) => ({ ...options, images: part.map(({ image }) => image) }))
}

/** Pictures that the workers share, each with an entry of its own in `output_ctx_list`. */
export function planImageList(
  images: readonly PostedImage[], workers: number, options: Omit<Job, 'images'>,
  membersOf: (item: JobItem) => Record<string, unknown>,
): Plan {
  return {
    jobs: jobsFor(images, workers, options),
    resolution: firstResolution,
    answer: (results) => ({
      output_ctx_list: itemsOf(results).map((item, index) =>
        ({ ...membersOf(item), ...renderedMember(item, images[index]?.encoding) })),
    }),
  }
}

/** Whether a picture is to be drawn on; `otherwise` where the request does not say. */
export function wantsRender({ fields: { render } }: TaskRequest, otherwise = false): boolean {
  if (render === undefined || render === null) return otherwise
  return render === true || render === 'true' || render === 1
}

/** `image`: the annotated picture, where one was asked for. */
export function renderedMember(item: JobItem | undefined, encoding: ImageEncoding | undefined): { image?: string } {
  return item?.rendered && encoding ? { image: encodeImage(item.rendered, encoding) } : {}
}

/** @throws EdgeInferError BAD_IMAGE naming the members that would have done. */
export function requireImage(expected: string): never {
  throw new EdgeInferError('BAD_IMAGE', `Expected ${expected} but the request has no image`)
}
