/** Constant models that stand in for those which no npm package carries. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { sparse, writeConstantModel } from './onnx.js'

const SIDE = 320
/** Cells of the grids of 8, 16 and 32 pixels. */
const CELLS = (SIDE / 8) ** 2 + (SIDE / 16) ** 2 + (SIDE / 32) ** 2

/** What {@link useConstantHelmets} finds in every picture; boxes are fractions of its longer side. */
export const HELMETS = [
  { label: 'helmet', score: 0.9, box: [0.1875, 0.125, 0.3125, 0.25] },
  { label: 'head', score: 0.8, box: [0.625, 0.3125, 0.75, 0.4375] },
] as const

/** Boxes of {@link HELMETS} in pixels of a frame. */
export function helmetBoxes(width: number, height: number): number[][] {
  return HELMETS.map(({ box }) => box.map((side) => side * Math.max(width, height)))
}

/** A YOLOX file in the directory: the boxes of {@link HELMETS}, each by one of the first cells. */
function writeHelmetModel(directory: string): string {
  const shape = [1, CELLS, 7]
  const values = HELMETS.flatMap(({ box: [x1, y1, x2, y2], score }, cell): [number, number][] => {
    const inCells = (side: number): number => side * SIDE / 8
    const row = [
      inCells((x1 + x2) / 2) - cell, inCells((y1 + y2) / 2), Math.log(inCells(x2 - x1)), Math.log(inCells(y2 - y1)), 1,
      cell === 0 ? score : 0, cell === 1 ? score : 0,
    ]
    return row.map((value, index) => [cell * 7 + index, value])
  })
  return writeConstantModel(
    join(directory, 'helmet-constant.onnx'), [{ name: 'images', shape: [1, 3, SIDE, SIDE] }],
    [{ name: 'output', shape, values: sparse(shape, ...values) }])
}

/** An UltraFace file in the directory that finds one face in every picture, in its middle, half as wide and high. */
export function writeFaceModel(directory: string, name: string): string {
  const anchors = 3 * 40 * 30 + 2 * 20 * 15 + 2 * 10 * 8 + 3 * 5 * 4
  const [scores, boxes] = [[1, anchors, 2], [1, anchors, 4]]
  return writeConstantModel(join(directory, `${name}.onnx`), [{ name: 'input', shape: [1, 3, 240, 320] }], [
    { name: 'scores', shape: scores, values: sparse(scores, [1, 0.99]) },
    { name: 'boxes', shape: boxes, values: sparse(boxes, [0, 0.25], [1, 0.25], [2, 0.75], [3, 0.75]) },
  ])
}

/** A constant model is helmet_detection's default, in this process and in those it starts, until the test ends. */
export function useConstantHelmets(t: Pick<Test, 'teardown'>): void {
  const directory = mkdtempSync(join(tmpdir(), 'edge-infer-helmets-'))
  writeHelmetModel(directory)
  writeFileSync(join(directory, 'catalog.json'), JSON.stringify({
    models: [{
      name: 'helmet-constant', task: 'helmet_detection', family: 'yolox', default: true, licence: { id: 'MIT' },
      obtain: 'The test writes it', input: { name: 'images', width: SIDE, height: SIDE }, labelSet: 'helmet',
      files: [{ name: 'helmet-constant.onnx', sources: [] }],
    }],
  }))
  const { EDGE_INFER_CATALOG: catalog, EDGE_INFER_MODELS: models } = process.env
  process.env.EDGE_INFER_CATALOG = join(directory, 'catalog.json')
  process.env.EDGE_INFER_MODELS = models ? `${directory}${delimiter}${models}` : directory
  t.teardown(() => {
    restore('EDGE_INFER_CATALOG', catalog)
    restore('EDGE_INFER_MODELS', models)
    rmSync(directory, { recursive: true, force: true })
  })
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}
