/** The command line. Each command is a file of its own, loaded only when it is asked for. */
import { Command, CommanderError } from 'commander'
import { EdgeInferError } from '../errors.js'
import { EXIT_READER_GONE, guardOutputs, isReaderGone, print, say } from './output.js'
import { packageVersion } from './program.js'

interface CommandModule {
  /** Adds options, arguments, subcommands and the action. */
  configure(command: Command): void
}

interface Registration {
  name: string
  description: string
  load(): Promise<CommandModule>
}

const COMMANDS: readonly Registration[] = [
  { name: 'run', description: 'Find faces, cars, helmets in pictures and videos', load: () => import('./run.js') },
  { name: 'quickstart', description: 'The main job on real photographs', load: () => import('./quickstart.js') },
  { name: 'inspect', description: 'What is here, and what is missing', load: () => import('./inspect.js') },
  { name: 'build', description: 'Compile the native addon inside the installed package',
    load: () => import('./build.js') },
  { name: 'models', description: 'List, fetch, verify and quantise models', load: () => import('./models.js') },
  { name: 'serve', description: 'Serve the tasks over HTTP, by worker processes', load: () => import('./serve.js') },
  { name: 'status', description: 'Show a cluster: nodes, workers, limits', load: () => import('./status.js') },
  { name: 'bench', description: 'Measure accuracy and speed', load: () => import('./bench.js') },
]

const EXIT_FAILURE = 1
const EXIT_USAGE = 2
const EXIT_INTERRUPTED = 130

/**
 * Runs the command that `argv` (as of `process.argv`) names and sets the exit code: 1 failed, 2 misused,
 * 130 interrupted, 141 without a reader of its results.
 */
export async function main(argv: readonly string[]): Promise<void> {
  guardOutputs()
  try {
    const program = await createProgram(argv)
    await program.parseAsync(argv)
  } catch (error) {
    process.exitCode = report(error)
  }
}

async function createProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('edge-infer')
    .description('Vision inference for Node.js and edge boxes')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: say })
    .showHelpAfterError('(--help lists what there is)')
  const words = argv.slice(2).filter((word) => !word.startsWith('-'))
  const asked = words[0] === 'help' ? words[1] : words[0]
  for (const { name, description, load } of COMMANDS) {
    const command = program.command(name).description(description)
    if (name === asked) (await load()).configure(command)
  }
  return program
}

/** Prints what commander has not printed itself. */
function report(error: unknown): number {
  if (isReaderGone()) return EXIT_READER_GONE
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
  if (error instanceof EdgeInferError) {
    say(`error: ${error.message} [${error.code}]\n`)
    return error.code === 'ABORTED' ? EXIT_INTERRUPTED : EXIT_FAILURE
  }
  say(`error: ${error instanceof Error ? error.stack : String(error)} [INTERNAL]\n`)
  return EXIT_FAILURE
}
