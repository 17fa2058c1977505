/** The 256 levels of a tensor: `value = (level - zeroPoint) * scale`. */
import type { TensorStatistics } from '../../native.js'

export interface Levels {
  scale: number
  /** 0 to 255; stands for exactly zero, which the borders of convolutions are filled with. */
  zeroPoint: number
}

const LEVELS = 256
/** How finely the ends of the range are tried. */
const STEPS = 64
/** Least share of the range of values, from zero to an end, that is tried. */
const MIN_SHARE = 0.1
/** Histograms are summed up to so many bins: enough to place the ends, few enough to try many. */
const BINS = 2048

/** Levels from `low` to `high`, and zero. */
export function levelsBetween(low: number, high: number): Levels {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)]
  if (to === from) return { scale: 1, zeroPoint: 0 }
  const scale = (to - from) / (LEVELS - 1)
  return { scale, zeroPoint: Math.round(-from / scale) }
}

/**
 * The levels that leave the least squared error in what is computed of the values: wide ranges cost resolution,
 * narrow ones cut off values.
 */
export function fittingLevels(statistics: TensorStatistics, through: 'silu' | 'identity'): Levels {
  const bins = occupiedBins(statistics)
  const computed = through === 'silu' ? silu : identity
  const targets = bins.map(({ value }) => computed(value))
  const errorOf = (low: number, high: number): number => {
    const { scale, zeroPoint } = levelsBetween(low, high)
    const results = Float64Array.from({ length: LEVELS }, (_, level) => computed((level - zeroPoint) * scale))
    let sum = 0
    for (const [index, { value, count }] of bins.entries()) {
      const level = Math.min(Math.max(Math.round(value / scale) + zeroPoint, 0), LEVELS - 1)
      sum += count * ((results[level] as number) - (targets[index] as number)) ** 2
    }
    return sum
  }
  let [low, high] = [Math.min(statistics.min, 0), Math.max(statistics.max, 0)]
  // Each end is best for the other as it was; twice round is where they stay.
  for (let round = 0; round < 2; round += 1) {
    high = best(statistics.max, (end) => errorOf(low, end))
    low = best(statistics.min, (end) => errorOf(end, high))
  }
  return levelsBetween(low, high)
}

function best(end: number, errorOf: (end: number) => number): number {
  let [found, least] = [end, errorOf(end)]
  for (let step = 1; step < STEPS; step += 1) {
    const tried = end * (1 - (1 - MIN_SHARE) * (step / STEPS))
    const error = errorOf(tried)
    if (error < least) [found, least] = [tried, error]
  }
  return found
}

function occupiedBins({ histogram, range }: TensorStatistics): { value: number; count: number }[] {
  const width = (2 * range) / histogram.length
  const perBin = Math.max(1, histogram.length / BINS)
  const bins: { value: number; count: number }[] = []
  for (let first = 0; first < histogram.length; first += perBin) {
    const count = histogram.subarray(first, first + perBin).reduce((sum, value) => sum + value, 0)
    if (count > 0) bins.push({ value: (first + perBin / 2) * width - range, count })
  }
  return bins
}

function silu(value: number): number {
  return value / (1 + Math.exp(-value))
}

function identity(value: number): number {
  return value
}
