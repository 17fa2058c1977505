/** `edge-infer build`: compiles the native addon in the installed package, and fetches ONNX Runtime's library. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { InvalidArgumentError, type Command } from 'commander'
import { EdgeInferError } from '../errors.js'
import { printLine, say } from './output.js'
import { interruptSignal } from './signals.js'

const PACKAGE_ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const ADDON = join(PACKAGE_ROOT, 'build', 'Release', 'edge_infer.node')
const OUTPUT_KEPT = 4000

export function configure(command: Command): void {
  command
    .option('--parallel <jobs>', 'compilers at a time', parseJobs, availableParallelism())
    .option('--verbose', "show the compiler's output")
    .action(build)
}

interface BuildOptions {
  parallel: number
  verbose?: boolean
}

interface Step {
  label: string
  command: string
  args: readonly string[]
}

async function build({ parallel, verbose = false }: BuildOptions): Promise<void> {
  await expectWritablePackage()
  const requirements = join(PACKAGE_ROOT, 'bin', 'build-requirements')
  const steps: Step[] = [
    { label: 'compiler and libraries', command: 'bash', args: [requirements, 'packages'] },
    { label: "ONNX Runtime's headers", command: 'bash', args: [requirements, 'headers'] },
    ...process.env.EDGE_INFER_ORT_LIBRARY ? [] : [
      { label: "ONNX Runtime's library", command: process.execPath, args: [join('bin', 'fetch-runtime')] },
    ],
    { label: 'configuring', command: 'cmake', args: ['-S', '.', '-B', 'build', ...headersOption()] },
    {
      label: 'the native addon',
      command: 'cmake',
      args: ['--build', 'build', '--target', 'edge_infer', '--parallel', String(parallel)],
    },
    { label: 'loading it', command: process.execPath, args: ['-e', 'require(process.argv[1])', ADDON] },
  ]
  const signal = interruptSignal()
  for (const step of steps) await runStep(step, verbose, signal)
  printLine(ADDON)
}

/** An earlier build keeps its options, so a root that was named is named again. */
function headersOption(): string[] {
  const root = process.env.ONNXRUNTIME_ROOT
  return root ? [`-DONNXRUNTIME_ROOT=${root}`] : []
}

async function expectWritablePackage(): Promise<void> {
  try {
    await access(PACKAGE_ROOT, constants.W_OK)
  } catch (cause) {
    throw new EdgeInferError(
      'RUNTIME_UNAVAILABLE', `The addon is built inside ${PACKAGE_ROOT}, which this account may not write`, { cause })
  }
}

/** Says on standard error what is done and how long it took; a failure carries the end of the command's output. */
async function runStep({ label, command, args }: Step, verbose: boolean, signal: AbortSignal): Promise<void> {
  const start = performance.now()
  say(`build: ${label} ... ${verbose ? '\n' : ''}`)
  const child = spawn(command, args, { cwd: PACKAGE_ROOT, stdio: ['ignore', 'pipe', 'pipe'], signal })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (verbose) say(chunk.toString())
    })
  }
  let code: unknown
  try {
    [code] = await once(child, 'close') as unknown[]
  } catch (cause) {
    say('failed\n')
    if (signal.aborted) throw new EdgeInferError('ABORTED', 'The build was interrupted', { cause })
    throw new EdgeInferError('RUNTIME_UNAVAILABLE', `The build needs ${command}, which cannot be run`, { cause })
  }
  say(`${code === 0 ? 'done' : 'failed'}, ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
  if (code === 0) return
  throw new EdgeInferError(
    'RUNTIME_UNAVAILABLE', `The addon cannot be built: ${label}\n${output.trim().slice(-OUTPUT_KEPT)}`)
}

function parseJobs(text: string): number {
  const jobs = Number(text)
  if (Number.isInteger(jobs) && jobs >= 1) return jobs
  throw new InvalidArgumentError('Expected a whole number of at least 1.')
}
