/** Boxes in whole pixels, for programs that cut arrays with them. */

/**
 * The boxes of an answer (`bbox`, `bbox_list`, `result`) with x1, y1, x2, y2 rounded to whole pixels. What follows the
 * four numbers, the confidence and the class of a `result`, stays as it is.
 */
export function roundBoxes<Box extends readonly number[]>(boxes: readonly Box[]): Box[] {
  return boxes.map((box) => box.map((value, index) => index < 4 ? Math.round(value) : value) as unknown as Box)
}
