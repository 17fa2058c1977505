/** The two plots that benches need, as SVG text that inherits the page's colours. */

export interface Axis {
  label: string
  /** From the data when absent; bars and lines begin at 0. */
  max?: number
  /** Marks at whole numbers only. */
  whole?: boolean
}

export interface Series {
  name: string
  points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface StackedBar {
  name: string
  parts: ReadonlyArray<{ name: string; value: number }>
}

const WIDTH = 720
const MARGIN = { left: 64, right: 24, top: 56, bottom: 48 }
/** Told apart also by those who do not see red and green (Okabe and Ito's palette). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c8c8c']

export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

export function lineChart(title: string, x: Axis, y: Axis, series: readonly Series[]): string {
  const height = 340
  const points = series.flatMap((line) => line.points)
  const across = scaleOf(x, points.map(([value]) => value), MARGIN.left, WIDTH - MARGIN.right)
  const up = scaleOf(y, points.map(([, value]) => value), height - MARGIN.bottom, MARGIN.top)
  const lines = series.map((line, index) => {
    const places = line.points.map(([a, b]) => `${round(across.at(a))},${round(up.at(b))}`)
    const dots = line.points.length > 40 ? [] : places.map((place) => {
      const [cx, cy] = place.split(',')
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colourOf(index)}"/>`
    })
    const stroke = `fill="none" stroke="${colourOf(index)}" stroke-width="2"`
    return `<polyline points="${places.join(' ')}" ${stroke}/>${dots.join('')}`
  })
  return frame(title, height, series.map(({ name }) => name), [
    ...across.ticks.map((tick) => vertical(across.at(tick), height, show(tick))),
    ...up.ticks.map((tick) => horizontal(up.at(tick), show(tick))),
    axisLabels(x.label, y.label, height),
    ...lines,
  ])
}

/** Horizontal bars, one under the other, each made of the same parts. */
export function stackedBars(title: string, x: Axis, bars: readonly StackedBar[]): string {
  const step = 34
  const left = 210
  const height = MARGIN.top + step * bars.length + MARGIN.bottom
  const total = (bar: StackedBar): number => bar.parts.reduce((sum, { value }) => sum + value, 0)
  const across = scaleOf(x, bars.map(total), left, WIDTH - MARGIN.right - 56)
  const names = [...new Set(bars.flatMap((bar) => bar.parts.map(({ name }) => name)))]
  const shapes = bars.map((bar, row) => {
    const y = MARGIN.top + row * step + 6
    let begin = 0
    const parts = bar.parts.map(({ name, value }) => {
      const from = across.at(begin)
      begin += value
      return `<rect x="${round(from)}" y="${y}" width="${round(across.at(begin) - from)}" height="20" ` +
        `fill="${colourOf(names.indexOf(name))}"><title>${escapeMarkup(`${name}: ${show(value)}`)}</title></rect>`
    })
    const sum = text(across.at(begin) + 6, y + 15, show(begin), 'start')
    return text(left - 8, y + 15, bar.name, 'end') + parts.join('') + sum
  })
  return frame(title, height, names, [
    ...across.ticks.map((tick) => vertical(across.at(tick), height, show(tick))),
    axisLabels(x.label, '', height),
    ...shapes,
  ])
}

/** Charts under each other in one file that stands alone, on white. */
export function stackCharts(charts: readonly string[]): string {
  let height = 0
  const placed = charts.map((chart) => {
    const y = height
    height += Number(/ height="(\d+)"/.exec(chart)?.[1] ?? 0)
    return chart.replace('<svg ', `<svg y="${y}" `)
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `color="#1b1f24"><rect width="${WIDTH}" height="${height}" fill="#fff"/>${placed.join('')}</svg>\n`
}

interface Scale {
  ticks: number[]
  at(value: number): number
}

function scaleOf({ max, whole = false }: Axis, values: readonly number[], from: number, to: number): Scale {
  const most = max ?? Math.max(...values)
  const top = most > 0 && Number.isFinite(most) ? most : 1
  const step = Math.max(niceStep(top / 6), whole ? 1 : 0)
  const end = Math.ceil(top / step - 1e-9) * step
  return {
    ticks: Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step),
    at: (value) => from + (value / end) * (to - from),
  }
}

/** 1, 2 or 5 times a power of ten, at least `step`. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  return ([1, 2, 5].find((factor) => factor * power >= step) ?? 10) * power
}

function frame(title: string, height: number, legend: readonly string[], content: readonly string[]): string {
  let x = MARGIN.left
  const keys = legend.map((name, index) => {
    const square = `<rect x="${x}" y="32" width="12" height="12" fill="${colourOf(index)}"/>`
    const key = square + text(x + 18, 43, name, 'start')
    x += 36 + 7 * name.length
    return key
  })
  return '<svg xmlns="http://www.w3.org/2000/svg" ' +
    `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `role="img" aria-label="${escapeMarkup(title)}" ` +
    'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">' +
    `<text x="${MARGIN.left}" y="20" font-size="14" font-weight="600">${escapeMarkup(title)}</text>` +
    `${keys.join('')}${content.join('')}</svg>`
}

function vertical(x: number, height: number, label: string): string {
  const bottom = height - MARGIN.bottom
  return `<line x1="${round(x)}" y1="${MARGIN.top}" x2="${round(x)}" y2="${bottom}" ` +
    'stroke="currentColor" opacity="0.15"/>' + text(x, bottom + 16, label, 'middle')
}

function horizontal(y: number, label: string): string {
  return `<line x1="${MARGIN.left}" y1="${round(y)}" x2="${WIDTH - MARGIN.right}" y2="${round(y)}" ` +
    `stroke="currentColor" opacity="0.15"/>${text(MARGIN.left - 8, y + 4, label, 'end')}`
}

function axisLabels(x: string, y: string, height: number): string {
  const middle = height / 2
  const turned = y === '' ? '' :
    `<text transform="rotate(-90 16 ${middle})" x="16" y="${middle}" text-anchor="middle">${escapeMarkup(y)}</text>`
  return text(WIDTH / 2, height - 8, x, 'middle') + turned
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeMarkup(content)}</text>`
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function show(value: number): string {
  return String(Number(value.toPrecision(3)))
}
