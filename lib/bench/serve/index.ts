/** What HTTP and the hand-over to a worker add to the library call, and what the server does under load. */
import { EdgeInferError } from '../../errors.js'
import { resolveSample } from '../../models/index.js'
import { tasksOfKind, type TaskName, type TaskOfKind } from '../../tasks/registry.js'
import { createTask, type Detector } from '../../tasks/index.js'
import { interleave, type Measurement } from '../interleave.js'
import { timeCall } from '../kernel/library.js'
import { median, percentile, sorted } from '../statistics.js'
import { measureServers, type ServerComparison } from './comparison.js'
import { makeBody, type RequestEncoding } from './body.js'
import { Caller } from './caller.js'
import { FlaskPeer } from './flask-peer.js'
import { measureLevel, type Level, type LevelResult } from './levels.js'
import { makeFrame, type Frame } from './picture.js'
import type { ServerFigures } from './server-process.js'
import { BenchServer } from './server.js'
import { measureSoak, type Soak } from './soak.js'

export { REQUEST_ENCODINGS, type RequestEncoding } from './body.js'
export type { Level } from './levels.js'

export const SERVED_PEERS = ['flask'] as const
export type ServedPeer = (typeof SERVED_PEERS)[number]

export type ServedTask = TaskOfKind<'detection'>
export const SERVED_TASKS: readonly ServedTask[] = tasksOfKind('detection')

export interface ServeBenchOptions {
  task: ServedTask
  model?: string | undefined
  device?: string | undefined
  /** A server that runs; one is started when absent. */
  url?: string | undefined
  /** Workers of the server that is started. */
  workers: number
  /** The sample photograph when absent. */
  image?: string | undefined
  /** Encodings to measure the added time of. */
  encodings: readonly RequestEncoding[]
  /** Encodings to run the levels of load with. */
  loadEncodings: readonly RequestEncoding[]
  levels: readonly Level[]
  /** Other servers to compare with this one, in turns, which take models of their own kind only. */
  peers?: readonly ServedPeer[] | undefined
  /** Milliseconds. */
  measurementInterval: number
  stabilityPercentage: number
  /** Milliseconds to watch memory for at 80 % of the most that was served; only of a server that is started. */
  soak?: number | undefined
  warmupRequestCount: number
  signal?: AbortSignal | undefined
  onProgress?: ((label: string, done: number, total?: number) => void) | undefined
}

/** One client, in turns with the library: index `i` of all is one round. */
export interface EncodingResult {
  encoding: RequestEncoding
  /** Bytes of the request's body. */
  bytes: number
  /** The call over HTTP; stages are the worker's. */
  served: Measurement[]
  /** The library's call: on the file, or on pixels for a nested list. */
  library: Measurement[]
}

export interface ServedLevel extends LevelResult {
  encoding: RequestEncoding
  /** Undefined for a server that was there before. */
  server: ServerFigures | undefined
  /** Whether it was run for being 80 % of the most that was served. */
  atEightyPercent: boolean
}

export interface ServeResults {
  task: TaskName
  workers: number | undefined
  jpegBytes: number
  encodings: EncodingResult[]
  levels: ServedLevel[]
  soak: Soak | undefined
  comparisons: ServerComparison[]
}

const COMFORTABLE_LOAD = 0.8
const MAX_CONNECTIONS = 256
/** Milliseconds of requests to the library, and then to the server, with one client. */
const TURN_INTERVAL = 500
/** Milliseconds of requests before the first that count: V8 compiles what runs often, and a server runs for long. */
const SERVER_WARMUP = 3000

/** @throws EdgeInferError BAD_OPTION, NO_WORKER, NODE_UNREACHABLE, BAD_REPLY, ABORTED. */
export async function measureServe(options: ServeBenchOptions): Promise<ServeResults> {
  const { task, url, workers, model, device, signal } = options
  if (options.soak !== undefined && url !== undefined) {
    throw new EdgeInferError(
      'BAD_OPTION', 'Expected a soak of the server that the bench starts, but --url names another')
  }
  const detector = await createTask(task, { model, device, threads: 1 })
  let server: BenchServer | undefined
  let caller: Caller | undefined
  try {
    const frame = await makeFrame(options.image ?? await resolveSample('faces'), detector)
    server = url === undefined ? await BenchServer.start({ task, model, device, workers }, signal) : undefined
    caller = new Caller(url ?? server?.url ?? '', task, MAX_CONNECTIONS)
    const encodings = await measureEncodings(detector, caller, frame, options)
    const levels = await measureLevels(caller, server, frame, options)
    return {
      task,
      workers: server ? workers : undefined,
      jpegBytes: frame.jpeg.length,
      encodings,
      levels,
      // The soak last: what is missing for a peer is told before it, not after.
      comparisons: await measurePeers(caller, frame, options),
      soak: server && await soakServer(caller, server, frame, levels, options),
    }
  } finally {
    await caller?.close()
    await server?.close()
    await detector.close()
  }
}

async function measureEncodings(
  detector: Detector, caller: Caller, frame: Frame, options: ServeBenchOptions,
): Promise<EncodingResult[]> {
  const results: EncodingResult[] = []
  await warmUp(caller, frame, options)
  for (const encoding of options.encodings) {
    const body = makeBody(frame, encoding)
    const image = encoding === 'nested-list'
      ? { kind: 'raw' as const, data: frame.pixels, width: 1280, height: 720, channels: 3, order: 'bgr' as const }
      : frame.jpeg
    const benchTargets = [
      { name: 'library', measure: () => timeCall(() => detector.run(image)) },
      { name: 'served', measure: () => caller.call(body) },
    ]
    const [library = [], served = []] = await interleave(benchTargets, {
      ...options, turnInterval: TURN_INTERVAL,
      onProgress: (done, total) => options.onProgress?.(`${encoding}, one client`, done, total),
    })
    results.push({ encoding, bytes: body.bytes.length, library, served })
  }
  return results
}

async function warmUp(caller: Caller, frame: Frame, { encodings, signal }: ServeBenchOptions): Promise<void> {
  const body = makeBody(frame, encodings[0] ?? 'raw')
  const end = performance.now() + SERVER_WARMUP
  while (performance.now() < end && !signal?.aborted) await caller.send(body)
}

async function measureLevels(
  caller: Caller, server: BenchServer | undefined, frame: Frame, options: ServeBenchOptions,
): Promise<ServedLevel[]> {
  const results: ServedLevel[] = []
  for (const encoding of options.loadEncodings) {
    const body = makeBody(frame, encoding)
    const call = (): Promise<void> => caller.send(body)
    for (let index = 0; index < options.warmupRequestCount; index++) await call()
    const run = async (level: Level, atEightyPercent = false): Promise<ServedLevel> => {
      server?.reset()
      const label = `${encoding}, ${nameOfLevel(level)}, windows`
      const result = await measureLevel(level, call, {
        ...options, onWindow: (window) => options.onProgress?.(label, window),
      })
      return { ...result, encoding, atEightyPercent, server: await server?.figures() }
    }
    const own: ServedLevel[] = []
    for (const level of options.levels) own.push(await run(level))
    const rate = comfortableRate(own)
    if (rate > 0) own.push(await run({ requestRate: rate }, true))
    results.push(...own)
  }
  return results
}

/** 80 % of the most that was served where requests wait for answers; 0 where nothing was. */
function comfortableRate(levels: readonly ServedLevel[]): number {
  const served = levels.filter(({ level }) => 'concurrency' in level).map((result) => result.requestsPerSecond)
  return Math.max(0, ...served) * COMFORTABLE_LOAD
}

/** With the first of the encodings that levels were run with. */
async function soakServer(
  caller: Caller, server: BenchServer, frame: Frame, levels: readonly ServedLevel[], options: ServeBenchOptions,
): Promise<Soak | undefined> {
  const { soak: duration, signal, loadEncodings: [encoding] } = options
  if (duration === undefined || encoding === undefined) return undefined
  const requestRate = comfortableRate(levels.filter((level) => level.encoding === encoding))
  if (requestRate === 0) {
    throw new EdgeInferError(
      'BAD_OPTION', 'Expected levels of requests in flight before a soak, to know 80 % of what is served')
  }
  const body = makeBody(frame, encoding)
  return measureSoak(server, () => caller.send(body), {
    duration, requestRate, signal,
    onProgress: (done, total) =>
      options.onProgress?.(`${encoding}, soak at ${requestRate.toFixed(0)} requests/s`, done, total),
  })
}

async function measurePeers(caller: Caller, frame: Frame, options: ServeBenchOptions): Promise<ServerComparison[]> {
  const { peers = [], task, model, workers, levels, signal, onProgress } = options
  if (peers.length === 0) return []
  const peer = await FlaskPeer.start(task, model, workers)
  const theirs = new Caller(peer.url, task, MAX_CONNECTIONS)
  try {
    const measurementInterval = options.measurementInterval / 2
    return [await measureServers(`Flask (${peer.versions})`, caller, theirs, frame, {
      measurementInterval, levels, signal, onProgress,
    })]
  } finally {
    await theirs.close()
    await peer.close()
  }
}

export function nameOfLevel(level: Level): string {
  return 'concurrency' in level ? `concurrency ${level.concurrency}` : `${level.requestRate.toFixed(0)} requests/s`
}

/** Milliseconds that the server takes more than the library: of the medians, or of another percentile. */
export function addedBy({ served, library }: EncodingResult, percent = 50): number {
  const at = (measured: readonly Measurement[]): number => percentile(
    sorted(measured.map(({ total }) => total)), percent,
  )
  return at(served) - at(library)
}

/** Median milliseconds of all that is not the model's own: before inference, and the answer's way back. */
export function aroundInference({ served }: EncodingResult): number {
  return median(served.map(({ total, stages: { inference = 0, postprocess = 0 } }) => total - inference - postprocess))
}
