/** `edge-infer bench limits`. */
import { InvalidArgumentError, type Command } from 'commander'
import { measureLimits, reportLimits } from '../bench/index.js'
import { addTaskOptions, parseCount, parseCounts, present, settingsOf, type TaskBenchOptions } from './bench-common.js'
import { interruptSignal } from './signals.js'

interface LimitsCommandOptions extends TaskBenchOptions {
  limit: number[]
  workers: number[]
  seconds: number
}

export function configureLimits(command: Command): void {
  command
    .description(
      'CPU that limited workers use under saturating load, their latency, and how soon a change takes effect',
    )
    .argument('[image]', 'the picture to ask about; the sample photograph unless said otherwise')
    .option('--limit <shares>', 'cpu_util_limit, separated by commas', parseShares, [0.1, 0.25, 0.5, 0.75, 1])
    .option('--workers <counts>',
      'numbers of workers, separated by commas: one is limited as a process, more as a task',
      parseCounts, [1, 3])
    .option('--seconds <seconds>', 'how long to measure each limit', parseCount, 10)
  addTaskOptions(command).action(runLimits)
}

async function runLimits(image: string | undefined, options: LimitsCommandOptions): Promise<void> {
  await present(options, async (onProgress) => {
    const results = await measureLimits({
      ...options, limits: options.limit, image, signal: interruptSignal(), onProgress,
    })
    return reportLimits(results, settingsOf(options))
  })
}

function parseShares(text: string): number[] {
  return text.split(',').map((part) => {
    const share = Number(part)
    if (part === '' || !(share > 0 && share <= 1)) throw new InvalidArgumentError('Expected numbers above 0, up to 1.')
    return share
  })
}
