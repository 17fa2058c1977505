/**
 * A peer in a process of its own: what npm users do today. sharp decodes and scales, JavaScript fills the tensor,
 * `onnxruntime-node` runs the model, JavaScript reads the outputs. It shares no code with the library.
 *
 * Prints one line of JSON when ready. Then, for each line "run", the milliseconds of one frame; for "result", what it
 * finds in the picture.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { PeerSettings } from './peer.js'

interface Sharp {
  resize(options: Record<string, unknown>): Sharp
  removeAlpha(): Sharp
  raw(): Sharp
  metadata(): Promise<{ width: number; height: number }>
  toBuffer(): Promise<Buffer>
}

interface SharpModule {
  (file: Buffer): Sharp
  concurrency(threads: number): number
  cache(on: boolean): void
}

interface Tensor {
  data: Float32Array
  dims: readonly number[]
}

interface Session {
  inputNames: readonly string[]
  outputNames: readonly string[]
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>
}

interface OnnxRuntime {
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor
  InferenceSession: { create(path: string, options: Record<string, unknown>): Promise<Session> }
}

interface Candidate {
  box: [number, number, number, number]
  score: number
  classId: number
}

const settings = JSON.parse(process.argv[2] as string) as PeerSettings & { directory: string }
const { family, preprocessing, thresholds, inputSize: { width, height } } = settings
const requirePeer = createRequire(join(settings.directory, 'package.json'))
const ort = requirePeer('onnxruntime-node') as OnnxRuntime
const sharp = requirePeer('sharp') as SharpModule

sharp.concurrency(settings.threads)
sharp.cache(false)
const file = readFileSync(settings.image)
const frame = await sharp(file).metadata()
const session = await ort.InferenceSession.create(settings.model, {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
  intraOpNumThreads: settings.threads,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
})

/** Where the frame lies in the input. */
const stretch = preprocessing.resize === 'stretch'
const ratio = Math.min(width / frame.width, height / frame.height)
const scaleX = stretch ? width / frame.width : ratio
const scaleY = stretch ? height / frame.height : ratio
const centred = preprocessing.resize === 'letterbox-center'
const left = stretch || !centred ? 0 : Math.floor((width - Math.round(frame.width * ratio)) / 2)
const top = stretch || !centred ? 0 : Math.floor((height - Math.round(frame.height * ratio)) / 2)

function decodePixels(): Promise<Buffer> {
  const pad = { r: preprocessing.pad, g: preprocessing.pad, b: preprocessing.pad }
  const fit = stretch ? { fit: 'fill' } : { fit: 'contain', position: centred ? 'centre' : 'left top', background: pad }
  return sharp(file).resize({ width, height, kernel: 'linear', ...fit }).removeAlpha().raw().toBuffer()
}

function fillTensor(pixels: Buffer): Tensor {
  const area = width * height
  const data = new Float32Array(3 * area)
  const { mean, scale, channelOrder } = preprocessing
  for (let plane = 0; plane < 3; plane++) {
    const channel = channelOrder === 'rgb' ? plane : 2 - plane
    const offset = plane * area
    const m = mean[plane] as number
    const s = scale[plane] as number
    for (let i = 0; i < area; i++) data[offset + i] = ((pixels[3 * i + channel] as number) - m) * s
  }
  return new ort.Tensor('float32', data, [1, 3, height, width])
}

function readUltraFace(outputs: readonly Tensor[]): Candidate[] {
  const scores = (outputs.find(({ dims }) => dims[2] === 2) as Tensor).data
  const boxes = (outputs.find(({ dims }) => dims[2] === 4) as Tensor).data
  const found: Candidate[] = []
  for (let i = 0; i < scores.length / 2; i++) {
    const score = scores[2 * i + 1] as number
    if (score <= thresholds.scoreThreshold) continue
    const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number]
    found.push({ box: [x1 * width, y1 * height, x2 * width, y2 * height], score, classId: 0 })
  }
  return found
}

function readYoloV8([output]: readonly Tensor[]): Candidate[] {
  const { data, dims } = output as Tensor
  const [, rows, cells] = dims as [number, number, number]
  const found: Candidate[] = []
  for (let cell = 0; cell < cells; cell++) {
    let score = 0
    let classId = -1
    for (let row = 4; row < rows; row++) {
      const value = data[row * cells + cell] as number
      if (value > score) {
        score = value
        classId = row - 4
      }
    }
    if (score <= thresholds.scoreThreshold) continue
    const [cx, cy, w, h] = [0, 1, 2, 3].map((row) => data[row * cells + cell]) as [number, number, number, number]
    found.push({ box: [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], score, classId })
  }
  return found
}

function readYoloX([output]: readonly Tensor[]): Candidate[] {
  const { data, dims } = output as Tensor
  const columns = dims[2] as number
  const found: Candidate[] = []
  let row = 0
  for (const stride of [8, 16, 32]) {
    for (let y = 0; y < height / stride; y++) {
      for (let x = 0; x < width / stride; x++, row += columns) {
        let best = 5
        for (let column = 6; column < columns; column++) {
          if ((data[row + column] as number) > (data[row + best] as number)) best = column
        }
        const score = (data[row + 4] as number) * (data[row + best] as number)
        if (score <= thresholds.scoreThreshold) continue
        const cx = ((data[row] as number) + x) * stride
        const cy = ((data[row + 1] as number) + y) * stride
        const w = Math.exp(data[row + 2] as number) * stride
        const h = Math.exp(data[row + 3] as number) * stride
        found.push({ box: [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], score, classId: best - 5 })
      }
    }
  }
  return found
}

function overlap(a: Candidate['box'], b: Candidate['box']): number {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (w <= 0 || h <= 0) return 0
  return (w * h) / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)
}

function suppress(candidates: Candidate[]): Candidate[] {
  const kept: Candidate[] = []
  for (const candidate of candidates.sort((a, b) => b.score - a.score)) {
    const isNew = kept.every(({ box, classId }) =>
      classId !== candidate.classId || overlap(box, candidate.box) <= thresholds.iouThreshold)
    if (isNew) kept.push(candidate)
  }
  return kept
}

function toFrame({ box: [x1, y1, x2, y2], score, classId }: Candidate): Candidate {
  const x = (value: number): number => Math.min(Math.max((value - left) / scaleX, 0), frame.width)
  const y = (value: number): number => Math.min(Math.max((value - top) / scaleY, 0), frame.height)
  return { box: [x(x1), y(y1), x(x2), y(y2)], score, classId }
}

const READERS = { ultraface: readUltraFace, yolov8: readYoloV8, yolox: readYoloX }

async function answer(): Promise<{ objects: Candidate[]; times: Record<string, number> }> {
  const begin = performance.now()
  const pixels = await decodePixels()
  const decoded = performance.now()
  const input = fillTensor(pixels)
  const prepared = performance.now()
  const outputs = await session.run({ [session.inputNames[0] as string]: input })
  const inferred = performance.now()
  const objects = suppress(READERS[family](session.outputNames.map((name) => outputs[name] as Tensor))).map(toFrame)
  const end = performance.now()
  const times = {
    total: end - begin, decode: decoded - begin, preprocess: prepared - decoded, inference: inferred - prepared,
    postprocess: end - inferred,
  }
  return { objects, times }
}

await answer()
process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  const { objects, times } = await answer()
  process.stdout.write(`${JSON.stringify(line === 'result' ? { objects } : times)}\n`)
}
