/** The inputs of `edge-infer run`, one after the other: analysed, reported, drawn. */
import { extname } from 'node:path'
import { EdgeInferError, type ErrorCode } from '../errors.js'
import { toEdgeInferError, type NativeImage } from '../native.js'
import { annotate } from '../inference/annotate.js'
import type { Analysis, Analyzer } from './analyzer.js'
import { mapInOrder } from './map-in-order.js'
import { print, say, writeResult } from './output.js'
import { readPicture, STANDARD_INPUT, type Input } from './run-inputs.js'
import { toJson, toText } from './run-report.js'
import { runVideo } from './run-video.js'

export interface RunnerOptions {
  json?: boolean
  maxFrames?: number
  /** Whether class and confidence, and head poses' axes, are drawn. */
  labels: boolean
  axes: boolean
  /** Of annotated JPEG and WebP pictures, 1 to 100. */
  quality: number
  /** Whether pictures are turned as their EXIF orientation says. */
  autoOrient: boolean
}

/** Pictures under way at once: one is computed while the next is read and the last one drawn. */
const PICTURES_UNDER_WAY = 3

/** What an input can be to blame for. */
const INPUT_ERRORS: readonly ErrorCode[] = ['BAD_IMAGE', 'TOO_LARGE', 'FFMPEG_UNAVAILABLE']

/** What is printed of an input, and what is wrong with it; a video of which a part is broken has both. */
interface Outcome {
  input: Input
  report?: string
  error?: EdgeInferError
}

export class Runner {
  readonly #analyzer: Analyzer
  readonly #outputs: ReadonlyMap<Input, string>
  readonly #options: RunnerOptions
  readonly #signal: AbortSignal

  /** `outputs`: the annotated file of each input that gets one. */
  constructor(analyzer: Analyzer, outputs: ReadonlyMap<Input, string>, options: RunnerOptions, signal: AbortSignal) {
    this.#analyzer = analyzer
    this.#outputs = outputs
    this.#options = options
    this.#signal = signal
  }

  /**
   * One that is broken is reported, and the rest goes on.
   * @throws EdgeInferError when one was broken, once all have had their turn.
   */
  async run(inputs: readonly Input[]): Promise<void> {
    const failures: EdgeInferError[] = []
    for (const stretch of stretchesOf(inputs)) {
      for await (const outcome of mapInOrder(stretch, PICTURES_UNDER_WAY, (input) => this.#attempt(input))) {
        if (outcome.report !== undefined) print(outcome.report)
        if (outcome.error) {
          failures.push(outcome.error)
          this.#reportFailure(outcome.input, outcome.error, inputs.length > 1)
        }
      }
    }
    const [first] = failures
    if (first === undefined) return
    if (inputs.length === 1) throw first
    throw new EdgeInferError(first.code, `${failures.length} of ${inputs.length} inputs could not be used (see above)`)
  }

  async #attempt(input: Input): Promise<Outcome> {
    try {
      if (input.kind === 'video') return await this.#runVideo(input)
      return { input, report: await this.#runPicture(input) }
    } catch (error) {
      const translated = toEdgeInferError(error)
      if (!INPUT_ERRORS.includes(translated.code)) throw error
      return { input, error: named(input, translated) }
    }
  }

  async #runPicture(input: Input): Promise<string> {
    const picture = await readPicture(input, this.#options.autoOrient)
    const analysis = await this.#analyzer.run(picture, this.#signal)
    const out = this.#outputs.get(input)
    if (out !== undefined) await this.#draw(picture, analysis, out)
    if (this.#options.json) return line({ ...toJson(this.#analyzer.task, input.path, analysis), out })
    return `${toText(input.path, analysis)}${writtenTo(out)}\n`
  }

  async #draw(picture: NativeImage, analysis: Analysis, out: string): Promise<void> {
    const { labels, axes, quality } = this.#options
    const poses = axes ? analysis.poses : undefined
    const file = await annotate(picture, analysis, { poses, labels, quality, type: extname(out) })
    await writeResult(out, file)
  }

  async #runVideo(input: Input): Promise<Outcome> {
    const { json = false, labels, axes, maxFrames } = this.#options
    const out = this.#outputs.get(input)
    const summary = await runVideo(input.path, this.#analyzer, {
      out,
      labels,
      axes,
      maxFrames,
      signal: this.#signal,
      progress: !(json && process.stdout.isTTY),
      onFrame: ({ index, timestamp, analysis }) => {
        if (!json) return
        const { file, ...rest } = toJson(this.#analyzer.task, input.path, analysis)
        print(line({ file, frame_index: index, timestamp_ms: timestamp, ...rest, out }))
      },
    })
    const report = json ? '' : `${summary.toText()}${writtenTo(out)}\n`
    if (summary.faults === undefined) return { input, report }
    return { input, report, error: new EdgeInferError('BAD_IMAGE', `${input.path}: ${summary.faults}`) }
  }

  #reportFailure({ path }: Input, { code, message }: EdgeInferError, isOneOfMany: boolean): void {
    if (this.#options.json) print(line({ file: path, error: { code, message } }))
    if (isOneOfMany) say(`error: ${message} [${code}]\n`)
  }
}

/** Pictures that follow each other are run together, each video by itself. */
function stretchesOf(inputs: readonly Input[]): Input[][] {
  const stretches: Input[][] = []
  for (const input of inputs) {
    const last = stretches.at(-1)
    if (input.kind === 'picture' && last?.[0]?.kind === 'picture') last.push(input)
    else stretches.push([input])
  }
  return stretches
}

function named({ path }: Input, error: EdgeInferError): EdgeInferError {
  if (path !== STANDARD_INPUT && error.message.includes(path)) return error
  const name = path === STANDARD_INPUT ? 'standard input' : path
  return new EdgeInferError(error.code, `${name}: ${error.message}`, { cause: error })
}

function writtenTo(out: string | undefined): string {
  return out === undefined ? '' : `\n  written to ${out}`
}

function line(object: object): string {
  return `${JSON.stringify(object)}\n`
}
