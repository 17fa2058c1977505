/** What the tasks' presentations have in common. Bundled into the dashboard: no Node module, no addon. */
import type { FoundObject, Mark } from './definition.js'

/** Boxes, confidences and class names: lists that run parallel. */
export function toLists(objects: readonly FoundObject[]): { boxes: number[][]; prob: number[]; label: string[] } {
  return {
    boxes: objects.map(({ box }) => box.map(rounded)),
    prob: objects.map(({ score }) => rounded(score)),
    label: objects.map(({ label }) => label),
  }
}

/** How many there are of each, in the order of their first. */
export function countEach(labels: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1)
  return counts
}

/** `car × 4, truck × 2` */
export function describeCounts(counts: Iterable<readonly [label: string, count: number]>): string {
  return [...counts].map(([label, count]) => `${label} × ${count}`).join(', ')
}

export function markOf(box: Mark['box'], label: string, score: number | undefined, colour?: string): Mark {
  return { box, label, ...(score !== undefined && { score }), ...(colour !== undefined && { colour }) }
}

export function rounded(value: number): number {
  return Number(value.toFixed(4))
}
