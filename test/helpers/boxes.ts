/** Comparison of boxes [x1, y1, x2, y2]. */

export type Box = readonly [number, number, number, number]

/** Intersection over union. */
function iou(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (width <= 0 || height <= 0) return 0
  const area = (box: Box): number => (box[2] - box[0]) * (box[3] - box[1])
  return (width * height) / (area(a) + area(b) - width * height)
}

export interface Scored {
  box: Box
  score: number
  label: string | number
}

/**
 * What tells the two lists apart, as sentences: each detection must have its like (same label, IoU and score within
 * the limits) on the other side. One that lies within `scoreLimit` of the threshold may be on one side only.
 */
export function differences(
  found: readonly Scored[], expected: readonly Scored[],
  { threshold, iouLimit, scoreLimit }: { threshold: number; iouLimit: number; scoreLimit: number },
): string[] {
  const like = (a: Scored, b: Scored): boolean =>
    a.label === b.label && iou(a.box, b.box) >= iouLimit && Math.abs(a.score - b.score) <= scoreLimit
  const left = [...expected]
  const sentences: string[] = []
  const tell = (side: string, { box, score, label }: Scored): void => {
    if (score - threshold <= scoreLimit) return
    sentences.push(`${side} only: ${label} ${score.toFixed(4)} at ${box.map((value) => value.toFixed(1)).join(' ')}`)
  }
  for (const one of found) {
    const index = left.findIndex((other) => like(one, other))
    if (index >= 0) left.splice(index, 1)
    else tell('found', one)
  }
  for (const one of left) tell('expected', one)
  return sentences
}

/** How many of `truth` have a box of IoU `limit` or more among `boxes`. */
export function recalled(boxes: readonly Box[], truth: readonly Box[], limit = 0.5): number {
  return truth.filter((one) => boxes.some((box) => iou(box, one) >= limit)).length
}
