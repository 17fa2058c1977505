/** A bench target in its own process: it prints a line of JSON when ready, and one for each line it is sent. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { EdgeInferError } from '../errors.js'
import type { BenchTarget, Measurement } from './interleave.js'

type Answer = Readonly<Record<string, unknown>>

const STDERR_KEPT = 4000

export class TargetProcess implements BenchTarget {
  readonly name: string
  /** What it said of itself when it was ready: versions, say. */
  readonly greeting: Answer
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  readonly #errors: () => string

  private constructor(
    name: string, greeting: Answer, child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>,
    errors: () => string,
  ) {
    this.name = name
    this.greeting = greeting
    this.#child = child
    this.#lines = lines
    this.#errors = errors
  }

  /** @throws EdgeInferError INTERNAL: it ended before it was ready, with what it said on standard error. */
  static async start(
    name: string, command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<TargetProcess> {
    const child = spawn(command, args, { ...options, stdio: 'pipe' })
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (part: string) => { text = (text + part).slice(-STDERR_KEPT) })
    child.on('error', (error) => { text += error.message })
    // A process that died is reported by its missing answer.
    child.stdin.on('error', () => {})
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const errors = (): string => text.trim()
    try {
      return new TargetProcess(name, await readAnswer(name, lines, errors), child, lines, errors)
    } catch (error) {
      child.kill()
      throw error
    }
  }

  /** The answer to one line. */
  async ask(request: string): Promise<Answer> {
    this.#child.stdin.write(`${request}\n`)
    return readAnswer(this.name, this.#lines, this.#errors)
  }

  async measure(): Promise<Measurement> {
    const { total, ...stages } = await this.ask('run') as { total: number } & Record<string, number>
    return { total, stages }
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }
}

async function readAnswer(name: string, lines: AsyncIterator<string>, errors: () => string): Promise<Answer> {
  const line = await lines.next()
  if (line.done) throw new EdgeInferError('INTERNAL', `The process of ${name} ended: ${errors() || 'it said nothing'}`)
  try {
    return JSON.parse(line.value) as Answer
  } catch (cause) {
    throw new EdgeInferError('INTERNAL', `The process of ${name} answered no JSON but "${line.value}"`, { cause })
  }
}
