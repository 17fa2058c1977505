/** Runs a piece of JavaScript in a Node.js of its own. */
import { spawn } from 'node:child_process'

export interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/**
 * `source` is an ES module, `environment` is added to this process's, `prefix` a command that runs its further
 * arguments. It is killed after `timeout` milliseconds.
 */
export function runScript(
  source: string, nodeOptions: readonly string[] = [], timeout = 60_000, environment: Record<string, string> = {},
  prefix: readonly string[] = [],
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = [...prefix, process.execPath, ...nodeOptions, '--input-type=module', '-e', source]
    const child = spawn(command as string, rest, {
      stdio: ['ignore', 'pipe', 'pipe'], timeout, killSignal: 'SIGKILL',
      env: { ...process.env, ...environment },
    })
    const outcome = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => { outcome.stdout += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { outcome.stderr += text })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...outcome }))
  })
}
