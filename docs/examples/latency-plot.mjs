// The run of scheduler.mjs as one SVG: every frame's latency over the limit and the workers of that moment.

const WIDTH = 960
const LEFT = 64
const RIGHT = 916
const LATENCY = { top: 108, bottom: 354 }
const CONTROL = { top: 396, bottom: 476 }
const INK = {
  text: '#1f2430', faint: '#667085', grid: '#e4e7ec', frame: '#2563eb', p95: '#1e3a8a', target: '#c2410c',
  limit: '#047857', workers: '#7c3aed',
}
const TICKS_MS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]

export function drawRun({ frames, lost, actions, steps, phases, targetMs, windowMs, task }) {
  const total = phases.at(-1).end
  const last = Math.max(total, ...frames.map(({ at }) => at))
  const latencies = [targetMs, ...frames.map(({ allMs }) => allMs)]
  const least = Math.log(Math.min(...latencies) * 0.85)
  const most = Math.log(Math.max(...latencies) * 1.2)
  const x = (ms) => LEFT + ms / last * (RIGHT - LEFT)
  const y = (ms) => LATENCY.bottom - (Math.log(ms) - least) / (most - least) * (LATENCY.bottom - LATENCY.top)
  const control = (share) => CONTROL.bottom - share * (CONTROL.bottom - CONTROL.top)
  const mostWorkers = Math.max(2, ...steps.map(({ workers }) => workers))
  const height = CONTROL.bottom + 62 + actions.length * 18

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
      `font-family="system-ui, sans-serif" font-size="12" fill="${INK.text}" role="img">`,
    `<title>Latency of ${task} before and after control, target ${targetMs} ms</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(LEFT, 24, `Latency of ${task}, as the caller sees it`, 'font-size="16" font-weight="600"'),
    legend(windowMs, targetMs),
    ...phases.flatMap((phase, index) => drawPhase(phase, index, x, frames)),
    ...TICKS_MS.filter((ms) => y(ms) < LATENCY.bottom && y(ms) > LATENCY.top)
      .flatMap((ms) => [line(LEFT, y(ms), RIGHT, y(ms), INK.grid), label(LEFT - 8, y(ms) + 4, ms)]),
    text(LEFT - 8, LATENCY.top - 8, 'ms, log', `text-anchor="end" fill="${INK.faint}"`),
    ...frames.map(({ at, allMs }) =>
      `<circle cx="${x(at).toFixed(1)}" cy="${y(allMs).toFixed(1)}" r="2.2" fill="${INK.frame}" fill-opacity=".45"/>`),
    ...lost.map(({ at }) => line(x(at), LATENCY.bottom, x(at), LATENCY.bottom - 7, INK.target, 'stroke-opacity=".7"')),
    polyline(movingP95(frames, windowMs, last).map(({ at, p95 }) => [x(at), y(p95)]), INK.p95),
    line(LEFT, y(targetMs), RIGHT, y(targetMs), INK.target, 'stroke-width="1.5" stroke-dasharray="7 4"'),
    line(LEFT, LATENCY.bottom, RIGHT, LATENCY.bottom, INK.faint),

    ...[0, 0.5, 1].flatMap((share) =>
      [
        line(LEFT, control(share), RIGHT, control(share), INK.grid),
        label(LEFT - 8, control(share) + 4, share, INK.limit),
      ]),
    ...Array.from({ length: mostWorkers + 1 }, (_, count) => text(
      RIGHT + 8, control(count / mostWorkers) + 4, String(count), `fill="${INK.workers}"`)),
    text(LEFT, CONTROL.top - 9, 'CPU limit of each worker, share of the machine', `fill="${INK.limit}"`),
    text(RIGHT, CONTROL.top - 9, 'workers', `fill="${INK.workers}" text-anchor="end"`),
    polyline(
      stairs(steps, last, x, ({ workers }) => control(workers / mostWorkers)), INK.workers, 'stroke-dasharray="5 3"',
    ),
    polyline(stairs(steps, last, x, ({ limit }) => control(limit)), INK.limit),
    ...secondsAxis(total, x),

    ...actions.flatMap((action, index) => drawAction(action, index, x)),
    '</svg>',
  ].join('\n')
}

export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

function movingP95(frames, windowMs, last) {
  const points = []
  for (let at = windowMs / 2; at <= last; at += 250) {
    const seen = frames.filter((frame) => frame.at > at - windowMs && frame.at <= at)
    if (seen.length >= 3) points.push({ at, p95: quantile(seen.map(({ allMs }) => allMs), 0.95) })
  }
  return points
}

function drawPhase({ name, begin, end }, index, x, frames) {
  const during = frames.filter(({ at }) => at >= begin && at < end).map(({ allMs }) => allMs)
  const figures = during.length === 0 ? 'no frame answered'
    : `p50 ${quantile(during, 0.5).toFixed(0)}, p95 ${quantile(during, 0.95).toFixed(0)} ms`
  return [
    `<rect x="${x(begin)}" y="${LATENCY.top - 34}" width="${x(end) - x(begin)}" ` +
      `height="${CONTROL.bottom - LATENCY.top + 34}" fill="${['#fff1ec', '#f2f7ff', '#f6f3fd', '#f1faf5'][index]}"/>`,
    text(x(begin) + 6, LATENCY.top - 20, name, 'font-weight="600" font-size="11"'),
    text(x(begin) + 6, LATENCY.top - 6, figures, `fill="${INK.faint}" font-size="11"`),
  ]
}

function drawAction({ at, text: what, why }, index, x) {
  const row = CONTROL.bottom + 56 + index * 18
  return [
    line(x(at), LATENCY.top, x(at), CONTROL.bottom, INK.faint, 'stroke-dasharray="2 3"'),
    badge(x(at), LATENCY.bottom + 12, index + 1),
    badge(LEFT + 4, row - 4, index + 1),
    text(LEFT + 20, row, `${(at / 1000).toFixed(1)} s`),
    text(LEFT + 70, row, what, 'font-weight="600"'),
    text(LEFT + 350, row, why, `fill="${INK.faint}"`),
  ]
}

function badge(x, y, number) {
  return `<circle cx="${x}" cy="${y}" r="8" fill="${INK.text}"/>` +
    text(x, y + 3.5, String(number), 'fill="#fff" font-size="10" text-anchor="middle"')
}

function legend(windowMs, targetMs) {
  const y = 48
  return [
    `<circle cx="${LEFT + 5}" cy="${y}" r="3" fill="${INK.frame}" fill-opacity=".6"/>`,
    text(LEFT + 14, y + 4, 'one frame'),
    line(LEFT + 96, y, LEFT + 118, y, INK.p95, 'stroke-width="2"'),
    text(LEFT + 124, y + 4, `p95 of ${windowMs / 1000} s`),
    line(LEFT + 212, y, LEFT + 236, y, INK.target, 'stroke-width="1.5" stroke-dasharray="7 4"'),
    text(LEFT + 242, y + 4, `target ${targetMs} ms`),
    line(LEFT + 352, y - 4, LEFT + 352, y + 4, INK.target), text(LEFT + 360, y + 4, 'frame skipped or refused'),
    badge(LEFT + 534, y, 1), text(LEFT + 548, y + 4, 'what the scheduler did, below'),
  ].join('\n')
}

function secondsAxis(total, x) {
  const step = total > 20_000 ? 5 : 2
  const marks = []
  for (let second = 0; second * 1000 <= total; second += step) {
    marks.push(text(x(second * 1000), CONTROL.bottom + 18, `${second} s`, `fill="${INK.faint}" text-anchor="middle"`))
  }
  return marks
}

function stairs(steps, last, x, y) {
  return steps.flatMap((step, index) => [[x(step.at), y(step)], [x(steps[index + 1]?.at ?? last), y(step)]])
}

function polyline(points, colour, more = '') {
  const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round" ${more}/>`
}

function line(x1, y1, x2, y2, colour, more = '') {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colour}" ${more}/>`
}

function label(x, y, value, colour = INK.faint) {
  return text(x, y, String(value), `fill="${colour}" text-anchor="end"`)
}

function text(x, y, content, more = '') {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;')
  return `<text x="${x}" y="${y}" ${more}>${escaped}</text>`
}
