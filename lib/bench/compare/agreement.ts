/** Whether two programs found the same: speeds of different answers cannot be compared. */
import { intersectionOverUnion, type FoundBox } from '../accuracy/matching.js'

export interface Agreement {
  /** Objects that both found, of the same class. */
  common: number
  /** Objects that only one of them found. */
  apart: number
  /** Of the common ones: the least intersection over union, and the greatest difference of scores. */
  leastIou: number
  greatestScoreDifference: number
}

const SAME_OBJECT_IOU = 0.7

export function compareAnswers(one: readonly FoundBox[], other: readonly FoundBox[]): Agreement {
  const free = new Set(other)
  const agreement: Agreement = { common: 0, apart: 0, leastIou: 1, greatestScoreDifference: 0 }
  for (const { box, classId, score } of one) {
    let best: { found: FoundBox; iou: number } | undefined
    for (const found of free) {
      const iou = found.classId === classId ? intersectionOverUnion(box, found.box) : 0
      if (iou >= SAME_OBJECT_IOU && iou > (best?.iou ?? 0)) best = { found, iou }
    }
    if (best === undefined) {
      agreement.apart++
      continue
    }
    free.delete(best.found)
    agreement.common++
    agreement.leastIou = Math.min(agreement.leastIou, best.iou)
    agreement.greatestScoreDifference = Math.max(agreement.greatestScoreDifference, Math.abs(score - best.found.score))
  }
  agreement.apart += free.size
  return agreement
}
