/** Real load for the tests: processes that burn CPU or take memory until they are told to stop. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TaskGroup, WorkerGroup } from '../../../lib/workers/limits/index.js'

const BURN = `
const { Worker } = require('node:worker_threads')
process.stdin.once('data', (threads) => {
  for (let i = 1; i < Number(threads); i++) new Worker('for (;;) {}', { eval: true })
  setTimeout(() => { for (;;) {} }, 100)
})
process.stdin.on('end', () => process.exit())
`

const ALLOCATE = `
const kept = []
process.stdin.on('data', (mebibytes) => {
  kept.push(Buffer.alloc(Number(mebibytes) << 20, 1))
  console.log('done')
})
process.stdin.on('end', () => process.exit())
`

export class TestProcess implements AsyncDisposable {
  readonly pid: number
  readonly #child: ChildProcess
  readonly exited: Promise<unknown[]>

  constructor(script: string) {
    this.#child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    if (this.#child.pid === undefined) throw new Error('no process')
    this.pid = this.#child.pid
    this.exited = once(this.#child, 'exit')
    this.#child.stdin?.on('error', () => {})
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Sends a line and waits for the answer, or for the end of the process: its exit code and signal. */
  async ask(line: string): Promise<'answered' | unknown[]> {
    const answer = once(this.#child.stdout as NonNullable<ChildProcess['stdout']>, 'data')
    this.send(line)
    return Promise.race([answer.then((): 'answered' => 'answered'), this.exited])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }
}

/** A process inside the group, idle until `send('<threads>')`, then busy on that many threads. */
export function burner(group: WorkerGroup): TestProcess {
  const burner = new TestProcess(BURN)
  group.enter(burner.pid)
  return burner
}

/** A process inside the group that takes so many MiB for each line. */
export function allocator(group: WorkerGroup): TestProcess {
  const allocator = new TestProcess(ALLOCATE)
  group.enter(allocator.pid)
  return allocator
}

/** CPU used by the group over so many seconds, as a fraction of all cores. */
export async function cpuUse(group: WorkerGroup | TaskGroup, cores: number, seconds: number): Promise<number> {
  const [before, start] = [group.stats().cpuSeconds as number, process.hrtime.bigint()]
  await sleep(seconds * 1000)
  const used = (group.stats().cpuSeconds as number) - before
  return used / (Number(process.hrtime.bigint() - start) / 1e9) / cores
}
