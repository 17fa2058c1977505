import type { FoundObject, Mark } from '../definition.js'
import { countEach, describeCounts, markOf, toLists } from '../present.js'
import type { CountedVehicles } from './schema.js'

export function toJson(objects: readonly FoundObject[]): Record<string, unknown> {
  const { boxes, prob, label } = toLists(objects)
  return {
    result: objects.map(({ classId }, index) => [...boxes[index] as number[], prob[index], classId]),
    label,
    count_result: Object.fromEntries(countEach(label)),
  }
}

/** Older nodes answer no `label`. */
export function toMarks({ result, label }: Pick<CountedVehicles, 'result'> & Partial<CountedVehicles>): Mark[] {
  return result.map(([x1, y1, x2, y2, score, classId], index) =>
    markOf([x1, y1, x2, y2], label?.[index] ?? `class ${classId}`, score))
}

export function summarize({ count_result: counts }: CountedVehicles): string {
  return describeCounts(Object.entries(counts))
}
