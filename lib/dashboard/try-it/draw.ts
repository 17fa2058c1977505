/** Draws a picture and what was found in it. */
import type { BoundingBox } from '../../inference/bounding-box.js'
import type { Mark } from '../../tasks/definition.js'

const COLOURS = ['#ffd400', '#00e5ff', '#ff7ad9', '#7dff6b', '#ff9f43', '#c9a7ff']
const AXES = ['#ff3b30', '#34c759', '#2f80ff'] as const
const OUTLINE = 'rgb(0 0 0 / 0.75)'

/** `unit`: pixels of the canvas in one of the screen's. */
export function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap, marks: readonly Mark[], unit: number): void {
  const context = canvas.getContext('2d')
  if (!context) return
  const scale = canvas.width / bitmap.width
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
  const inPlace = marks.map((mark): Mark => ({ ...mark, box: mark.box.map((side) => side * scale) as BoundingBox }))
  const pen = { context, unit }
  for (const mark of inPlace) drawBox(pen, mark)
  for (const mark of inPlace) if (mark.pose) drawAxes(pen, mark.box, mark.pose)
  for (const mark of inPlace) drawLabel(pen, mark)
}

export function colourOf({ label, colour }: Mark): string {
  const code = [...label].reduce((sum, letter) => sum + letter.charCodeAt(0), 0)
  return colour ?? COLOURS[code % COLOURS.length] as string
}

interface Pen {
  context: CanvasRenderingContext2D
  unit: number
}

/** Twice, so that it stands out on any picture. */
function stroke({ context, unit }: Pen, path: Path2D, colour: string, width: number): void {
  context.lineCap = 'round'
  for (const [style, more] of [[OUTLINE, 2], [colour, 0]] as const) {
    context.strokeStyle = style
    context.lineWidth = (width + more) * unit
    context.stroke(path)
  }
}

function drawBox(pen: Pen, mark: Mark): void {
  const { box: [x1, y1, x2, y2] } = mark
  const path = new Path2D()
  path.roundRect(x1, y1, x2 - x1, y2 - y1, 3 * pen.unit)
  stroke(pen, path, colourOf(mark), 2)
}

function drawLabel({ context, unit }: Pen, mark: Mark): void {
  const { box: [x1, y1], label, score } = mark
  const text = score === undefined ? label : `${label} ${Math.round(score * 100)}%`
  context.font = `600 ${12 * unit}px system-ui, sans-serif`
  const width = context.measureText(text).width + 8 * unit
  const height = 17 * unit
  const x = Math.max(0, Math.min(x1, context.canvas.width - width))
  const y = y1 >= height ? y1 - height : y1
  context.fillStyle = colourOf(mark)
  context.fillRect(x, y, width, height)
  context.fillStyle = '#000'
  context.textBaseline = 'middle'
  context.fillText(text, x + 4 * unit, y + height / 2)
}

/** The head's axes by perspective-free projection: to its left red, down green, out of the face blue. */
function axesOf([yaw, pitch, roll]: NonNullable<Mark['pose']>): [x: number, y: number][] {
  const [y, p, r] = [-yaw, pitch, roll].map((degrees) => degrees * Math.PI / 180) as [number, number, number]
  const { sin, cos } = Math
  return [
    [cos(y) * cos(r), cos(p) * sin(r) + cos(r) * sin(p) * sin(y)],
    [-cos(y) * sin(r), cos(p) * cos(r) - sin(p) * sin(y) * sin(r)],
    [sin(y), -cos(y) * sin(p)],
  ]
}

function drawAxes(pen: Pen, [x1, y1, x2, y2]: Mark['box'], pose: NonNullable<Mark['pose']>): void {
  const length = Math.max(x2 - x1, y2 - y1) / 2
  const [cx, cy] = [(x1 + x2) / 2, (y1 + y2) / 2]
  axesOf(pose).forEach(([x, y], index) => {
    const path = new Path2D()
    path.moveTo(cx, cy)
    path.lineTo(cx + x * length, cy + y * length)
    stroke(pen, path, AXES[index] as string, 3)
  })
}
