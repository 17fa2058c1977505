import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { Readable } from 'node:stream'

const CLI = new URL('../../../bin/edge-infer', import.meta.url).pathname

export interface CliOptions {
  cwd?: string
  /** The file that is its standard input. */
  input?: string
  env?: NodeJS.ProcessEnv
  /** A command that runs its further arguments. */
  prefix?: readonly string[]
}

/**
 * The real command line in a process of its own. It is started through `env`, which keeps its pid, because the hooks
 * that tap puts into NODE_OPTIONS cannot load a launcher without a file name extension.
 */
export function spawnCli(
  args: readonly string[], { cwd, input = '/dev/null', env, prefix = [] }: CliOptions = {},
): ChildProcessByStdio<null, Readable, Readable> {
  const standardInput = openSync(input, 'r')
  try {
    const [command, ...rest] = [...prefix, 'env', '-u', 'NODE_OPTIONS', process.execPath, CLI, ...args] as [string]
    return spawn(command, rest, {
      cwd, env: { ...process.env, ...env }, stdio: [standardInput, 'pipe', 'pipe'],
    }) as ChildProcessByStdio<null, Readable, Readable>
  } finally {
    closeSync(standardInput)
  }
}

export interface CliResult {
  code: number | null
  stdout: string
  stderr: string
}

export async function finished(child: ReturnType<typeof spawnCli>): Promise<CliResult> {
  const result: CliResult = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (result.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (result.stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { ...result, code }
}

export const runCli = (...args: string[]): Promise<CliResult> => finished(spawnCli(args))
export const runCliWith = (options: CliOptions, ...args: string[]): Promise<CliResult> =>
  finished(spawnCli(args, options))
