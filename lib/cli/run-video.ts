/** A video, frame by frame: reading, inference, drawing and writing overlap. */
import { basename } from 'node:path'
import { EdgeInferError } from '../errors.js'
import type { NativeImage, StageTimings } from '../native.js'
import { annotate } from '../inference/annotate.js'
import { countUp } from '../tasks/head-pose.js'
import { countEach } from '../tasks/present.js'
import { openVideo, VideoWriter, type Damage, type VideoFrame } from '../video/index.js'
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
  maxFrames: number | undefined
  labels: boolean
  axes: boolean
  /** No bar where it would run into what is printed. */
  progress: boolean
  signal: AbortSignal
  onFrame?: ((frame: AnalyzedFrame) => void) | undefined
}

export interface AnalyzedFrame {
  index: number
  /** Milliseconds from the start of the video. */
  timestamp: number
  analysis: Analysis
  drawn: Buffer | undefined
}

/** Of the annotated video, where the file does not tell its own. */
const DEFAULT_FRAMES_PER_SECOND = 25

export async function runVideo(path: string, analyzer: Analyzer, options: VideoOptions): Promise<VideoSummary> {
  const { out, labels, axes, signal, maxFrames } = options
  const reader = await openVideo(path, { maxFrames })
  const { width, height, framesPerSecond = DEFAULT_FRAMES_PER_SECOND, frameCount, duration, soundCodec } = reader.info
  const estimate = frameCount ?? (duration && Math.round(duration / 1000 * framesPerSecond))
  const total = estimate && Math.min(estimate, maxFrames ?? Infinity)
  const bar = createProgressBar('frames')
  const summary = new VideoSummary(path, width, height, reader.damage)
  const work = async (frame: VideoFrame): Promise<Omit<AnalyzedFrame, 'index'>> => {
    const { timestamp, ...rest } = frame
    const image: NativeImage = { kind: 'raw', ...rest }
    const analysis = await analyzer.run(image, signal)
    if (out === undefined) return { timestamp, analysis, drawn: undefined }
    const poses = axes ? analysis.poses : undefined
    return { timestamp, analysis, drawn: await annotate(image, analysis, { poses, labels, type: 'raw' }) }
  }
  const sound = soundCodec === undefined ? undefined : { path, codec: soundCodec }
  let writer: VideoWriter | undefined
  try {
    for await (const frame of mapInOrder(reader, FRAMES_UNDER_WAY, work)) {
      options.onFrame?.({ index: summary.frames, ...frame })
      if (out !== undefined && frame.drawn) {
        writer ??= await VideoWriter.open(out, { width, height, framesPerSecond, sound })
        await writer.write(frame.drawn, frame.timestamp)
      }
      summary.add(frame.analysis)
      if (options.progress) bar.update(basename(path), summary.frames, total)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    await writer?.close()
    const kept = writer === undefined ? '' : `; ${out} holds them`
    const message = `Interrupted after ${summary.frames} frames of ${path}${kept}`
    throw new EdgeInferError('ABORTED', message, { cause: error })
  } finally {
    bar.stop()
    await writer?.close()
  }
  if (summary.frames > 0) return summary
  throw new EdgeInferError('BAD_IMAGE', `Expected a video with frames but none of ${path} can be read`)
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
  readonly #damage: Damage
  readonly #start = performance.now()
  readonly #occurrences = new Map<string, Occurrence>()
  readonly #timings: StageTimings[] = []

  constructor(path: string, width: number, height: number, damage: Damage) {
    this.#path = path
    this.#size = `${width} × ${height}`
    this.#damage = damage
  }

  /** What of the video is broken, in words. */
  get faults(): string | undefined {
    const { undecoded, corrupt, isBroken } = this.#damage
    const faults = [
      ...undecoded > 0 ? [`${undecoded} of ${this.frames + undecoded} frames could not be decoded`] : [],
      ...corrupt > 0 ? [`${corrupt} frames were decoded with parts missing`] : [],
      ...isBroken ? ['the file is cut off or damaged in places'] : [],
    ]
    return faults.length === 0 ? undefined : faults.join(', ')
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
