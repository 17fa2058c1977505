/** `edge-infer models quantize`: its options. What it does is loaded only when it is asked for. */
import { Option, type Command } from 'commander'
import { TASK_NAMES } from '../tasks/registry.js'
import { numberBetween, wholeNumberBetween } from './arguments.js'
import type { QuantizeCommandOptions } from './quantize-model.js'

export function configureQuantize(command: Command): void {
  command
    .description('Write an int8 file of a model, unless that costs too much accuracy')
    .argument('<model>', 'a name of the catalogue, or the path of an ONNX file')
    .requiredOption('--calibrate <directory>', 'pictures like those the model is to work on (head poses: faces)')
    .option(
      '--labels <directory>', 'a labelled set to compare on: images/ and labels/; else the float model is the truth',
    )
    .option('--out <file>', 'the file to write; <model>.int8.onnx here unless said otherwise')
    .addOption(new Option('--task <name>', 'what a file of your own is used for').choices(TASK_NAMES))
    .option(
      '--max-loss <points>', 'points of average precision (head poses: degrees) it may lose', numberBetween(0, 100), 1,
    )
    .option('--force', 'write the file with all layers in int8, whatever it loses')
    .option('--reduce-range', 'weights of 7 bits, for x86 processors without VNNI')
    .option('--threads <count>', 'threads that compute one picture together', wholeNumberBetween(1, 256), 1)
    .option('--json', 'print the figures as JSON')
    .action(async (model: string, options: QuantizeCommandOptions) =>
      (await import('./quantize-model.js')).quantize(model, options))
}
