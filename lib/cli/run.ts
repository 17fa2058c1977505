/** `edge-infer run`: a task on pictures, directories of pictures, and videos. */
import { Argument, type Command } from 'commander'
import { EdgeInferError } from '../errors.js'
import { isTaskOfKind, TASK_NAMES, tasksOfKind, type TaskName } from '../tasks/registry.js'
import { Analyzer } from './analyzer.js'
import { numberBetween, sizeBetween, wholeNumberBetween } from './arguments.js'
import { say } from './output.js'
import { interruptSignal } from './signals.js'
import { findInputs, type Input } from './run-inputs.js'
import { planOutputs } from './run-outputs.js'
import { Runner, type RunnerOptions } from './runner.js'

const POSE_TASKS = tasksOfKind('head_pose').join(', ')

export function configure(command: Command): void {
  command
    .addArgument(new Argument('<task>', 'what to look for').choices(TASK_NAMES))
    .argument('<input...>', 'pictures, directories of pictures, videos, or - for one picture on standard input')
    .option('-o, --out <path>', 'write annotated pictures and videos: a file for one input, a directory for several')
    .option('--json', 'one JSON object a picture or frame and line, with the keys of the HTTP interface')
    .option('--model <name>', "name of a model or path of an ONNX file (default: the task's)")
    .option(
      '--input-size <pixels>', "side or WIDTHxHEIGHT of the model's input, where that is open", sizeBetween(8, 8192))
    .option('--face-model <name>', `the model that finds the faces of ${POSE_TASKS}`)
    .option('--device <device>', 'cpu, cuda[:n] or tensorrt[:n]', 'cpu')
    .option('--fallback', 'use the CPU where the device is not to be had')
    .option('--threads <count>', 'threads that compute one picture (default: all cores)', wholeNumberBetween(1, 256))
    .option('--conf <confidence>', "least confidence, 0 to 1 (default: the model's)", numberBetween(0, 1))
    .option('--iou <overlap>', 'boxes that overlap more than this are one object, 0 to 1', numberBetween(0, 1))
    .option('--max-det <count>', 'most objects a picture', wholeNumberBetween(1, 100_000))
    .option('--classes <list>', 'names or ids of the classes to keep, separated by commas', splitList)
    .option('--max-frames <count>', 'stop a video after so many frames', wholeNumberBetween(1, Number.MAX_SAFE_INTEGER))
    .option('--no-auto-orient', 'take photographs as they are stored, not turned as their EXIF orientation says')
    .option('--no-labels', 'draw boxes without class and confidence')
    .option('--no-axes', 'draw faces without the axes of their head poses')
    .option('--quality <percent>', 'of annotated JPEG and WebP pictures, 1 to 100', wholeNumberBetween(1, 100), 95)
    .addHelpText('after', EXAMPLES)
    .action(run)
}

const EXAMPLES = `
Examples:
  edge-infer run face_alignment photo.jpg --out annotated.jpg
  edge-infer run car_detection frames/ --json --classes car,truck > cars.jsonl
  edge-infer run car_detection dashcam.mp4 --out annotated.mp4
  curl -s https://example.org/photo.jpg | edge-infer run face_detection -`

interface RunOptions extends RunnerOptions {
  out?: string
  model?: string
  inputSize?: { width: number; height: number }
  faceModel?: string
  device: string
  fallback?: boolean
  threads?: number
  conf?: number
  iou?: number
  maxDet?: number
  classes?: string[]
}

async function run(task: TaskName, paths: string[], options: RunOptions): Promise<void> {
  if (options.faceModel !== undefined && !isTaskOfKind('head_pose', task)) {
    throw new EdgeInferError('BAD_OPTION', `Expected --face-model with ${POSE_TASKS} only but the task is ${task}`)
  }
  const inputs = await findInputs(paths)
  const outputs = options.out === undefined ? new Map<Input, string>() : await planOutputs(options.out, inputs)
  const signal = interruptSignal()
  const { conf, iou, maxDet, model, inputSize, faceModel, device, fallback, threads, classes } = options
  const thresholds = { scoreThreshold: conf, iouThreshold: iou, maxDetections: maxDet }
  await using analyzer = await Analyzer.open(
    task, { model, inputSize, faceModel, device, fallback, threads, classes, thresholds }, signal)
  for (const warning of analyzer.warnings) say(`warning: ${warning}\n`)
  await new Runner(analyzer, outputs, options, signal).run(inputs.list)
}

function splitList(text: string): string[] {
  return text.split(',').map((name) => name.trim()).filter((name) => name !== '')
}
