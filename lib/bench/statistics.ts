/** Statistics of measured durations. */

export interface Summary {
  count: number
  mean: number
  min: number
  max: number
  /** Value by percentile: `{50: …, 90: …, 99: …}`. */
  percentiles: Record<number, number>
}

/** A ratio of two medians, and the quartiles of the ratios of single rounds. */
export interface Ratio {
  median: number
  lowerQuartile: number
  upperQuartile: number
}

/** The `percent`-th percentile of ascending values, interpolated between its neighbours; NaN of none. */
export function percentile(ascending: readonly number[], percent: number): number {
  const position = (percent / 100) * (ascending.length - 1)
  const low = ascending[Math.floor(position)]
  const high = ascending[Math.ceil(position)]
  if (low === undefined || high === undefined) return Number.NaN
  return low + (high - low) * (position - Math.floor(position))
}

export function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}

export function median(values: readonly number[]): number {
  return percentile(sorted(values), 50)
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of the straight line nearest to the points; NaN of fewer than two. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const [x0, y0] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const sum = (value: (dx: number, dy: number) => number): number =>
    points.reduce((total, [x, y]) => total + value(x - x0, y - y0), 0)
  return sum((dx, dy) => dx * dy) / sum((dx) => dx * dx)
}

export function summarize(values: readonly number[], percents: readonly number[]): Summary {
  const ascending = sorted(values)
  return {
    count: values.length,
    mean: mean(values),
    min: percentile(ascending, 0),
    max: percentile(ascending, 100),
    percentiles: Object.fromEntries(percents.map((percent) => [percent, percentile(ascending, percent)])),
  }
}

/** `values` against `base`, measured in turns: index `i` of both is one round. */
export function ratioOfMedians(values: readonly number[], base: readonly number[]): Ratio {
  const rounds = sorted(values.flatMap((value, round) => {
    const other = base[round]
    return other === undefined ? [] : [value / other]
  }))
  return {
    median: median(values) / median(base),
    lowerQuartile: percentile(rounds, 25),
    upperQuartile: percentile(rounds, 75),
  }
}
