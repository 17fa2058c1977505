/** One figure of a node: what it is now, and how it went. */

export interface FigureProps {
  label: string
  /** The newest last. */
  values: readonly number[]
  format: (value: number) => string
  /** Value at the upper edge; absent: the highest there was. */
  top?: number
  /** Stands beside the label. */
  note?: string
}

const HEIGHT = 32
/** Points the width has room for: one a second. */
const POINTS = 120

export function Figure({ label, values, format, top, note }: FigureProps) {
  const now = values.at(-1) ?? 0
  return (
    <div class="figure">
      <dt>{label}{note !== undefined && <span class="note"> {note}</span>}</dt>
      <dd>
        <span class="value">{format(now)}</span>
        <Sparkline label={label} values={values} format={format} top={top ?? Math.max(...values, 0.1)} />
      </dd>
    </div>
  )
}

function Sparkline({ label, values, format, top }: FigureProps & { top: number }) {
  const first = POINTS - values.length
  const y = (value: number): string => (HEIGHT - 1 - Math.min(1, value / top) * (HEIGHT - 2)).toFixed(1)
  const points = values.map((value, index) => `${first + index},${y(value)}`)
  const [lowest, highest] = [Math.min(...values), Math.max(...values)].map(format)
  return (
    <svg role="img" aria-label={`${label} in the last ${values.length} s: from ${lowest} to ${highest}`}
      viewBox={`0 0 ${POINTS - 1} ${HEIGHT}`} preserveAspectRatio="none">
      <polygon points={`${first},${HEIGHT} ${points.join(' ')} ${POINTS - 1},${HEIGHT}`} />
      <polyline points={points.join(' ')} />
    </svg>
  )
}
