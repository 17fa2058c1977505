/** `edge-infer quickstart`: the main job on real photographs. */
import { mkdir } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { writeError } from '../errors.js'
import { TASKS, type TaskName } from '../tasks/registry.js'
import { annotate } from '../inference/annotate.js'
import { toNativeImage } from '../tasks/index.js'
import { Analyzer } from './analyzer.js'
import { printLine, writeResult } from './output.js'
import { commandName } from './program.js'
import { fetchSample } from './fetch.js'
import { interruptSignal } from './signals.js'
import { runOverHttp } from './quickstart-http.js'
import { toText } from './run-report.js'

const DIRECTORY = 'edge-infer-quickstart'

interface Step {
  task: TaskName
  /** A sample picture of the catalogue. */
  sample: string
  title: string
}

const STEPS: readonly Step[] = TASKS.flatMap(({ name: task, quickstart: step }) => step ? [{ task, ...step }] : [])

export function configure(command: Command): void {
  command
    .option('-o, --out <directory>', 'where the annotated pictures go', DIRECTORY)
    .action(({ out }: { out: string }) => quickstart(resolve(out)))
}

async function quickstart(directory: string): Promise<void> {
  const signal = interruptSignal()
  await mkdir(directory, { recursive: true }).catch((cause: Error) => {
    throw writeError('The directory of --out', cause)
  })
  const written: string[] = []
  for (const step of STEPS) written.push(await runStep(step, directory, signal))
  const pictures = await Promise.all(STEPS.map(async ({ task, sample }) =>
    ({ task, path: await fetchSample(sample, signal) })))
  printLine(`${await runOverHttp(pictures)}\n`)
  const command = commandName()
  printLine(`The pictures with what was found drawn on them:
  ${written.join('\n  ')}

What to try next:
  ${command} run ${STEPS[0]?.task} photo.jpg --out annotated.jpg
  ${command} run ${STEPS.at(-1)?.task} video.mp4 --out annotated.mp4
  ${command} serve
  ${command} inspect`)
}

async function runStep({ task, sample, title }: Step, directory: string, signal: AbortSignal): Promise<string> {
  const path = await fetchSample(sample, signal)
  await using analyzer = await Analyzer.open(task, {}, signal)
  const picture = await toNativeImage(path)
  const analysis = await analyzer.run(picture, signal)
  printLine(`${task}: ${title}\n${toText(basename(path), analysis)}\n`)
  const out = join(directory, basename(path))
  const drawn = await annotate(picture, analysis, { poses: analysis.poses, type: extname(out) })
  await writeResult(out, drawn)
  return out
}
