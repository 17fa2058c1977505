/** `edge-infer serve` in a process of its own. */
import type { Test } from 'tap'
import { finished, spawnCli, type CliOptions, type CliResult } from './run.js'

export interface Serving {
  child: ReturnType<typeof spawnCli>
  result: Promise<CliResult>
  url: string
  /** What it has said on standard error until it listened. */
  table: string
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<CliResult>
}

/** A server on any free port, once it says where it listens; killed with the test. */
export async function serveInProcess(
  t: Test, args: readonly string[], options: CliOptions = {},
): Promise<Serving> {
  const child = spawnCli(['serve', '--port', '0', '--threads', '1', ...args], options)
  t.teardown(() => child.kill('SIGKILL'))
  const result = finished(child)
  let table = ''
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      table += chunk.toString()
      const found = /Listening on (\S+)/.exec(table)?.[1]
      if (found) resolve(found)
    })
    child.once('close', () => reject(new Error(`ended: ${table}`)))
  })
  const stop = (): Promise<CliResult> => {
    child.kill('SIGTERM')
    return result
  }
  return { child, result, url, table, stop }
}
