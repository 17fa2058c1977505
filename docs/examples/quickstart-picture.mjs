// Draws what the quick start finds in its first photograph, as one SVG: the faces' boxes and axes, and the table.
//   node docs/examples/quickstart-picture.mjs OUT.svg
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const CLI = new URL('../../bin/edge-infer', import.meta.url).pathname
const FRAME = { x: 24, y: 24, width: 470 }
const TABLE = { x: 518, y: 24, width: 618 }
const LINE = 19
const AXES = [['yaw', '#ef4444'], ['pitch', '#22c55e'], ['roll', '#3b82f6']]
const STYLE = `
  .page { fill: #fff } .stage { fill: #e8edf3 } .person { fill: #b9c4d2; stroke: #e8edf3; stroke-width: 8 }
  .box { stroke: #0f766e } .tag { fill: #0f766e }
  .panel { fill: #f6f8fa; stroke: #d0d7de } text { fill: #1f2328 } .faint { fill: #656d76 } .tag-text { fill: #fff }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .stage { fill: #1c2530 } .person { fill: #3a4757; stroke: #1c2530 }
    .box { stroke: #2dd4bf } .tag { fill: #2dd4bf }
    .panel { fill: #161b22; stroke: #30363d } text { fill: #e6edf3 } .faint { fill: #8d96a0 }
    .tag-text { fill: #06201d }
  }`

const [out] = process.argv.slice(2)
if (out === undefined) {
  console.error('usage: node quickstart-picture.mjs OUT.svg')
  process.exit(2)
}
const directory = await mkdtemp(join(tmpdir(), 'edge-infer-'))
try {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'quickstart', '--out', directory])
  await writeFile(out, draw(stdout.split('\n\n')))
} finally {
  await rm(directory, { recursive: true })
}

function draw([faces = '', cars = '', served = '']) {
  const lines = ['$ npm run quickstart', '', ...faces.split('\n'), '', ...cars.split('\n'), '', ...served.split('\n')]
    .map((line) => line.replace(/:\d+:$/, ':5500:'))
  const [, width, height] = /in (\d+) × (\d+) pixels/.exec(faces).map(Number)
  const people = faces.split('\n').flatMap((line) => {
    const [label, ...numbers] = line.trim().split(/\s+/)
    return label === 'face' ? [numbers.slice(0, 8).map(Number).concat(line.trim().endsWith('up') ? 1 : 0)] : []
  })
  const scale = FRAME.width / width
  const tall = Math.max(height * scale, LINE * lines.length + 24)
  const total = Math.round(tall + 48)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1160 ${total}" width="1160" height="${total}" role="img">`,
    '<title>Five faces with boxes and head-pose axes, and the table that the quick start prints</title>',
    `<style>${STYLE}</style><rect class="page" width="1160" height="${total}"/>`,
    `<clipPath id="frame"><rect width="${width}" height="${height}" rx="24"/></clipPath>`,
    `<g transform="translate(${FRAME.x} ${Math.round((total - height * scale) / 2)}) scale(${scale.toFixed(4)})">`,
    `<g clip-path="url(#frame)"><rect class="stage" width="${width}" height="${height}"/>`,
    ...[...people].sort((a, b) => a[2] - b[2]).map(silhouette), '</g>', ...people.map(marks), '</g>',
    `<rect class="panel" x="${TABLE.x}" y="24" width="${TABLE.width}" height="${total - 48}" rx="8"/>`,
    '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="12.5">',
    ...lines.map((line, index) => row(line, TABLE.y + 12 + LINE * (index + 0.75))), '</g></svg>\n',
  ].join('\n')
}

function row(text, y) {
  const faint = /^\$|^ {2}[A-Z]|^TASK|decode/.test(text) ? ' class="faint"' : ''
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll(' ', '\u00a0')
  return `<text x="${TABLE.x + 18}" y="${y.toFixed(1)}"${faint}>${escaped}</text>`
}

/** The photograph itself is not drawn: a head and shoulders stand for each person. */
function silhouette([, x1, y1, x2, y2, , , roll]) {
  const [cx, cy, side] = [(x1 + x2) / 2, (y1 + y2) / 2, y2 - y1]
  const [rx, ry, fall] = [0.4, 0.54, 0.68].map((part) => (part * side).toFixed(1))
  return `<g class="person"><path d="M${cx - side} 9999 V${cy + side * 1.2} q0 -${fall} ${side} -${fall} ` +
    `t${side} ${fall} V9999 z"/><ellipse rx="${rx}" ry="${ry}" transform="translate(${cx} ${cy}) rotate(${roll})"/></g>`
}

/** Box, label, and the head's axes seen from the camera; degrees. */
function marks([confidence, x1, y1, x2, y2, ...angles]) {
  const [yaw, pitch, roll] = angles.map((angle) => angle * Math.PI / 180)
  const [cx, cy, length] = [(x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2]
  const ends = [
    [
      Math.cos(yaw) * Math.cos(roll),
      Math.cos(pitch) * Math.sin(roll) + Math.cos(roll) * Math.sin(pitch) * Math.sin(yaw),
    ],
    [-Math.cos(yaw) * Math.sin(roll),
      Math.cos(pitch) * Math.cos(roll) - Math.sin(pitch) * Math.sin(yaw) * Math.sin(roll)],
    [Math.sin(yaw), -Math.cos(yaw) * Math.sin(pitch)],
  ]
  const label = `face ${confidence.toFixed(2)}${angles[3] ? '  up' : ''}`
  return [
    `<rect class="box" x="${x1}" y="${y1}" width="${x2 - x1}" height="${y2 - y1}" fill="none" stroke-width="7"/>`,
    ...ends.map(([x, y], index) => `<line x1="${cx}" y1="${cy}" x2="${(cx + length * x).toFixed(1)}" ` +
      `y2="${(cy + length * y).toFixed(1)}" stroke="${AXES[index][1]}" stroke-width="10" stroke-linecap="round"/>`),
    `<rect class="tag" x="${x1 - 3}" y="${y1 - 54}" width="${label.length * 24 + 16}" height="54"/>`,
    `<text class="tag-text" x="${x1 + 8}" y="${y1 - 14}" font-family="ui-monospace, monospace" ` +
      `font-size="40">${label}</text>`,
  ].join('')
}
