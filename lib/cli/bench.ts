/** `edge-infer bench …`: measurements, printed as tables and written as report files. */
import { Option, type Command } from 'commander'
import {
  COMPARED_TASKS, measureAccuracy, measureComparison, measureKernel, PEERS,
  reportAccuracy, reportComparison, reportKernel,
} from '../bench/index.js'
import { EdgeInferError } from '../errors.js'
import { findModel } from '../models/index.js'
import { isTaskName, type TaskName } from '../tasks/registry.js'
import {
  addCommonOptions, parseCount, parseCounts, parsePercentiles, parseWhole, present, settingsOf, withUsualPercentiles,
  type CommonOptions,
} from './bench-common.js'
import { configureLimits } from './bench-limits.js'
import { configureServe } from './bench-serve.js'
import { interruptSignal } from './signals.js'

export function configure(command: Command): void {
  configureAccuracy(command.command('accuracy'))
  configureKernel(command.command('kernel'))
  configureCompare(command.command('compare'))
  configureLimits(command.command('limits'))
  configureServe(command.command('serve'))
}

interface AccuracyCommandOptions extends CommonOptions {
  data?: string
  fullDecode?: boolean
  threads?: number
}

function configureAccuracy(command: Command): void {
  command
    .description('Precision, recall and average precision, or degrees of error, on labelled pictures')
    .option('--data <directory>', 'images/ and labels/ of the sets (also EDGE_INFER_DATA)', process.env.EDGE_INFER_DATA)
    .option('--full-decode', 'leave out the reduced decode that requests get by default')
    .option('--threads <count>', 'threads that compute one picture together', parseCount)
  addCommonOptions(command).action(runAccuracy)
}

async function runAccuracy({ data, fullDecode, threads, ...common }: AccuracyCommandOptions): Promise<void> {
  if (data === undefined) {
    throw new EdgeInferError('BAD_OPTION', 'Expected the directory of the labelled sets in --data or EDGE_INFER_DATA')
  }
  await present(common, async (onProgress) => {
    const results = await measureAccuracy({
      data, ...modelsByTask(common), fullDecode, threads, device: common.device, signal: interruptSignal(), onProgress,
    })
    return reportAccuracy(results, settingsOf({ ...common, fullDecode, threads }))
  })
}

/** In the words of Triton's perf_analyzer. */
interface LoadOptions {
  warmupRequestCount: number
  requestCount?: number
  measurementInterval: number
  percentile: number[]
}

interface KernelCommandOptions extends CommonOptions, LoadOptions {
  threads: number[]
  fullDecode?: boolean
  crops?: boolean
  asExported?: boolean
  rectangular: boolean
  floor: boolean
  concurrentRuns: number
}

function configureKernel(command: Command): void {
  addLoadOptions(command)
    .description('Latency of the library call by stage, compared with decode + session.run with nothing around them')
    .argument('[image...]', 'pictures; the sample photograph unless said otherwise')
    .option('--threads <counts>', 'intra-op threads; several, separated by commas, are swept', parseCounts, [1])
    .option('--full-decode', 'decode every pixel even where a reduced decode would do')
    .option('--crops', 'detections that another task starts from also answer a JPEG of each object')
    .option('--as-exported', "run a model's file as it is, not its faster variant")
    .option('--no-rectangular', 'letterbox every frame to the whole input, however flat it is')
    .option('--no-floor', 'leave out the baseline (a C++ program that the bench compiles)')
    .option('--concurrent-runs <count>', 'runs of a detection while the event loop is watched; 0: none', parseWhole, 8)
  addCommonOptions(command).action(runKernel)
}

function addLoadOptions(command: Command): Command {
  return command
    .option('--warmup-request-count <count>', 'calls before the measurement', parseWhole, 10)
    .option('--request-count <count>', 'calls to measure, in place of an interval', parseCount)
    .option('--measurement-interval <milliseconds>', 'how long to measure each task', parseCount, 5000)
    .option('--percentile <percents>', 'percentiles besides 50, 90 and 99, separated by commas', parsePercentiles, [])
}

async function runKernel(images: string[], options: KernelCommandOptions): Promise<void> {
  await present(options, async (onProgress) => {
    const results = await measureKernel({
      ...options, ...modelsByTask(options), baseline: options.floor, images, signal: interruptSignal(), onProgress,
    })
    return reportKernel(results, withUsualPercentiles(options.percentile), settingsOf(options))
  })
}

interface CompareCommandOptions extends CommonOptions, LoadOptions {
  threads: number
  peer?: string[]
}

function configureCompare(command: Command): void {
  addLoadOptions(command)
    .description('The library compared with what people use in its place: answers first, then speeds, in turns')
    .argument('[image...]', 'pictures; the sample photograph unless said otherwise')
    .addOption(new Option('--peer <name...>', 'peers; all unless said otherwise').choices(PEERS.map(({ id }) => id)))
    .option('--threads <count>', 'intra-op threads of each bench target', parseCount, 1)
  addCommonOptions(command).action(runCompare)
}

async function runCompare(images: string[], options: CompareCommandOptions): Promise<void> {
  const { tasks, models } = modelsByTask(options)
  const compared = COMPARED_TASKS.filter((task) => tasks === undefined || tasks.includes(task))
  await present(options, async (onProgress) => {
    const results = await measureComparison({
      ...options, tasks: compared, models, peers: options.peer, images, signal: interruptSignal(), onProgress,
    })
    return reportComparison(results, withUsualPercentiles(options.percentile), settingsOf(options))
  })
}

/** A model's task is the catalogue's; a file of the user's own goes with the one task that is asked for. */
function modelsByTask({ task, model = [] }: CommonOptions): {
  tasks: TaskName[] | undefined
  models: Partial<Record<TaskName, string>>
} {
  const models: Partial<Record<TaskName, string>> = {}
  for (const name of model) {
    const of = findModel(name)?.task ?? (task?.length === 1 ? task[0] : undefined)
    if (!isTaskName(of)) {
      throw new EdgeInferError('BAD_OPTION', `${name} is no model of the catalogue: say with one --task what it is for`)
    }
    models[of] = name
  }
  return { tasks: task ?? (model.length > 0 ? Object.keys(models) as TaskName[] : undefined), models }
}
