/** A video, frame by frame: reading, inference, drawing and writing overlap. */
import { basename } from 'node:path'
import { EdgeInferError } from '../errors.js'
import {
  native, type NativeImage, type NativeVideoReader, type NativeVideoWriter, type StageTimings,
} from '../native.js'
import { annotate } from '../inference/annotate.js'
import { countUp } from '../tasks/head-pose.js'
import { countEach } from '../tasks/present.js'
import type { Analysis, Analyzer } from './analyzer.js'
import { mapInOrder } from './map-in-order.js'
import { createProgressBar } from './progress.js'
import { stageLine } from './run-report.js'
import { indent, renderTable } from './table.js'

/** Frames under way at once, each of them in memory: as many as the stages that work on them. */
const FRAMES_UNDER_WAY = 4

export interface VideoOptions {
  /** The annotated video. */
  out: string | undefined
  maxFrames: number
  labels: boolean
  axes: boolean
  /** No bar where it would run into what is printed. */
  progress: boolean
  signal: AbortSignal
  onFrame?: ((frame: VideoFrame) => void) | undefined
}

export interface VideoFrame {
  index: number
  /** Milliseconds from the start of the video. */
  timestamp: number
  analysis: Analysis
}

export async function runVideo(path: string, analyzer: Analyzer, options: VideoOptions): Promise<VideoSummary> {
  const { out, labels, axes, signal } = options
  const reader = await native.openVideo(path)
  const { width, height, framesPerSecond, frameCount } = reader.info
  const total = frameCount > 0 ? Math.min(frameCount, options.maxFrames) : undefined
  const bar = createProgressBar('frames')
  const summary = new VideoSummary(path, width, height)
  const work = async (frame: NativeImage): Promise<{ analysis: Analysis; drawn: Buffer | undefined }> => {
    const analysis = await analyzer.run(frame, signal)
    if (out === undefined) return { analysis, drawn: undefined }
    const poses = axes ? analysis.poses : undefined
    return { analysis, drawn: await annotate(frame, analysis, { poses, labels, type: 'raw' }) }
  }
  let writer: NativeVideoWriter | undefined
  try {
    const frames = framesOf(reader, options.maxFrames)
    for await (const { analysis, drawn } of mapInOrder(frames, FRAMES_UNDER_WAY, work)) {
      const index = summary.frames
      options.onFrame?.({ index, timestamp: framesPerSecond > 0 ? 1000 * index / framesPerSecond : 0, analysis })
      if (out !== undefined && drawn) {
        writer ??= await native.createVideo(out, width, height, framesPerSecond)
        await writer.write(pixels(drawn, width, height))
      }
      summary.add(analysis)
      if (options.progress) bar.update(basename(path), summary.frames, total)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    const kept = writer === undefined ? '' : `; ${out} holds them`
    const message = `Interrupted after ${summary.frames} frames of ${path}${kept}`
    throw new EdgeInferError('ABORTED', message, { cause: error })
  } finally {
    bar.stop()
    await writer?.close()
  }
  if (out !== undefined && writer) await expectWritten(out, summary.frames)
  if (summary.frames > 0) return summary
  throw new EdgeInferError('BAD_IMAGE', `Expected a video with frames but none of ${path} can be read`)
}

/** The encoder does not tell of a full disk. Containers without an index may count one frame less. */
async function expectWritten(out: string, frames: number): Promise<void> {
  const { frameCount } = await native.openVideo(out).then(({ info }) => info, () => ({ frameCount: 0 }))
  if (frameCount > 0 && frameCount >= frames - 1) return
  const message = `${out} cannot be written: it holds ${frameCount} of ${frames} frames; is the disk full?`
  throw new EdgeInferError('NOT_WRITTEN', message)
}

async function* framesOf(reader: NativeVideoReader, most: number): AsyncGenerator<NativeImage> {
  const { width, height } = reader.info
  for (let count = 0; count < most; count++) {
    const frame = await reader.read()
    if (frame === null) return
    yield pixels(frame, width, height)
  }
}

function pixels(data: Buffer, width: number, height: number): NativeImage {
  return { kind: 'raw', data, width, height, channels: 3, order: 'bgr' }
}

interface Occurrence {
  frames: number
  objects: number
  most: number
}

/** What was found in all frames together. */
class VideoSummary {
  frames = 0
  readonly #path: string
  readonly #size: string
  readonly #start = performance.now()
  readonly #occurrences = new Map<string, Occurrence>()
  readonly #timings: StageTimings[] = []

  constructor(path: string, width: number, height: number) {
    this.#path = path
    this.#size = `${width} × ${height}`
  }

  add({ objects, poses, timings }: Analysis): void {
    this.frames += 1
    this.#timings.push(timings)
    const counts = countEach(objects.map(({ label }) => label))
    if (poses && countUp(poses) > 0) counts.set('face (up)', countUp(poses))
    for (const [label, count] of counts) {
      const { frames, objects, most } = this.#occurrences.get(label) ?? { frames: 0, objects: 0, most: 0 }
      this.#occurrences.set(label, { frames: frames + 1, objects: objects + count, most: Math.max(most, count) })
    }
  }

  toText(): string {
    const seconds = (performance.now() - this.#start) / 1000
    const rate = `${this.frames} frames in ${seconds.toFixed(1)} s, ${(this.frames / seconds).toFixed(1)} frames/s`
    const rows = [...this.#occurrences].sort(([, a], [, b]) => b.objects - a.objects)
      .map(([label, { frames, objects, most }]) =>
        [label, String(frames), (objects / this.frames).toFixed(2), String(most)])
    const figures = ['IN FRAMES', 'MEAN A FRAME', 'MOST']
    const found = rows.length === 0 ? 'nothing found' : renderTable(['LABEL', ...figures], rows, figures)
    const stages = `median a frame: ${stageLine(this.#medians())}`
    return `${this.#path}: ${rate}, ${this.#size} pixels\n${indent(`${found}\n${stages}`)}`
  }

  #medians(): StageTimings {
    const median = (stage: keyof StageTimings): number => {
      const times = this.#timings.map((timings) => timings[stage]).sort((a, b) => a - b)
      return times[Math.floor(times.length / 2)] ?? 0
    }
    return {
      decode: median('decode'),
      preprocess: median('preprocess'),
      inference: median('inference'),
      postprocess: median('postprocess'),
      encode: median('encode'),
    }
  }
}
