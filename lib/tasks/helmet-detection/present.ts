import type { FoundObject, Mark } from '../definition.js'
import { markOf, toLists } from '../present.js'
import type { HelmetDetails } from './schema.js'

/** The class of a bare head in the catalogue's label set. */
export const BARE_HEAD = 'head'

const [BARE_COLOUR, HELMET_COLOUR] = ['#ff5c5c', '#7dff6b']

export function toJson(objects: readonly FoundObject[]): Record<string, unknown> {
  const { boxes, prob, label } = toLists(objects)
  return { bbox_list: boxes, prob, label }
}

export function toMarks({ bbox_list: boxes, label, prob }: HelmetDetails): Mark[] {
  return boxes.map((box, index) => label[index] === BARE_HEAD
    ? markOf(box, 'no helmet', prob[index], BARE_COLOUR)
    : markOf(box, 'helmet', prob[index], HELMET_COLOUR))
}

export function summarize({ clip_result: frames }: HelmetDetails): string {
  const [heads, bare] = [frames.map(({ ntotal }) => ntotal), frames.map((frame) => frame.n_no_helmet)].map((counts) =>
    counts.reduce((sum, count) => sum + count, 0))
  return `${heads} heads, ${bare} of them without a helmet`
}
