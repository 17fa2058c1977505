/** `edge-infer bench serve`, in the words of Triton's perf_analyzer. */
import { availableParallelism } from 'node:os'
import { InvalidArgumentError, Option, type Command } from 'commander'
import {
  measureServe, reportServe, REQUEST_ENCODINGS, SERVED_PEERS, SERVED_TASKS,
  type Level, type RequestEncoding, type ServedPeer, type ServedTask,
} from '../bench/index.js'
import {
  addTaskOptions, parseCount, parsePercentiles, parseWhole, present, settingsOf, withUsualPercentiles,
  type TaskBenchOptions,
} from './bench-common.js'
import { interruptSignal } from './signals.js'

interface ServeCommandOptions extends TaskBenchOptions {
  task: ServedTask
  url?: string
  workers: number
  form?: RequestEncoding[]
  concurrencyRange: number[]
  requestRateRange?: number[]
  measurementInterval: number
  stabilityPercentage: number
  percentile: number[]
  warmupRequestCount: number
  soak?: number
  peer?: ServedPeer[]
}

const ONE_CLIENT_ENCODINGS: readonly RequestEncoding[] = ['raw', 'base64', 'bytes-literal', 'nested-list']
const LOAD_ENCODINGS: readonly RequestEncoding[] = ['raw']
const MAX_LEVELS = 100
/** Milliseconds. */
const SHORTEST_SOAK = 3000
const LONGEST_SOAK = 86_400_000

export function configureServe(command: Command): void {
  command
    .description(
      'Requests over HTTP on the loopback interface: what they take more than the library call, and load by level',
    )
    .argument('[image]', 'the picture to ask about, brought to 1280×720; the sample photograph unless said otherwise')
    .option('--url <url>', 'a server that runs on this machine; one is started unless said otherwise')
    .option('--workers <count>', 'workers of the server that is started', parseCount, availableParallelism())
    .addOption(new Option('--form <form...>', 'encodings of the body (one client: all but latin1, under load: raw)')
      .choices(REQUEST_ENCODINGS))
    .addOption(new Option('--concurrency-range <start:end:step>', 'requests in flight')
      .argParser((text) => parseRange(text, parseCount)).default([1, 2, 4, 8], '1, 2, 4 and 8'))
    .addOption(new Option('--request-rate-range <start:end:step>', 'requests sent a second, whatever is answered')
      .argParser((text) => parseRange(text, parsePositive)).conflicts('concurrencyRange'))
    .option('--measurement-interval <milliseconds>', 'of a window, and of each encoding alone', parseCount, 2000)
    .option(
      '--stability-percentage <percent>', 'steady: three windows in a row this close to their mean', parsePositive, 10,
    )
    .option('--percentile <percents>', 'percentiles besides 50, 90, 95, 99, separated by commas', parsePercentiles, [])
    .option('--soak <duration>', "watch the server's memory at 80 % load for this long: 30m, 90s", parseDuration)
    .addOption(new Option('--peer <name...>', 'other servers to compare with it, in turns').choices(SERVED_PEERS))
    .option('--warmup-request-count <count>', 'requests before a measurement', parseWhole, 10)
  addTaskOptions(command, SERVED_TASKS).action(runServe)
}

async function runServe(image: string | undefined, options: ServeCommandOptions): Promise<void> {
  const { form, requestRateRange, concurrencyRange, percentile } = options
  const levels: Level[] = requestRateRange?.map((requestRate) => ({ requestRate })) ??
    concurrencyRange.map((concurrency) => ({ concurrency }))
  await present(options, async (onProgress) => {
    const results = await measureServe({
      ...options, image, levels, encodings: form ?? ONE_CLIENT_ENCODINGS, loadEncodings: form ?? LOAD_ENCODINGS,
      peers: options.peer,
      signal: interruptSignal(), onProgress,
    })
    return reportServe(results, withUsualPercentiles([95, ...percentile]), settingsOf(options))
  })
}

/** Milliseconds of `90s`, `30m` or `2h`. */
function parseDuration(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? []
  const milliseconds = Number(count) * ({ s: 1000, m: 60_000, h: 3_600_000 }[unit ?? ''] ?? Number.NaN)
  if (!(milliseconds >= SHORTEST_SOAK && milliseconds <= LONGEST_SOAK)) {
    throw new InvalidArgumentError('Expected a duration from 3s to 24h, for example 30m.')
  }
  return milliseconds
}

/** `start[:end[:step]]`, the end included. */
function parseRange(text: string, parse: (part: string) => number): number[] {
  const [start = Number.NaN, end = start, step = 1, ...more] = text.split(':').map(parse)
  const count = Math.floor((end - start) / step + 1e-9) + 1
  if (more.length > 0 || !(count >= 1 && count <= MAX_LEVELS)) {
    throw new InvalidArgumentError(`Expected start:end:step that makes 1 to ${MAX_LEVELS} levels.`)
  }
  return Array.from({ length: count }, (_, index) => start + index * step)
}

function parsePositive(text: string): number {
  const value = Number(text)
  if (text === '' || !(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError(
    'Expected a number above 0.',
  )
  return value
}
