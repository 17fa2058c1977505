import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { Socket } from 'node:net'
import { delimiter, join } from 'node:path'
import type { GpuFigures } from './gpu-figures.js'

const QUERY = ['--query-gpu=index,memory.used,memory.total,utilization.gpu', '--format=csv,noheader,nounits']
const LONGEST_LINE = 4096
const MEBIBYTE = 2 ** 20

export interface NvidiaSmiTiming {
  /** A run that says nothing for so long is killed; figures that old are forgotten. */
  silenceMs: number
  /** Pause after a run that failed, and between looks for the program where there is none. */
  retryMs: number
  /** Shortest pause between single runs. */
  pollMs: number
}

const TIMING: NvidiaSmiTiming = { silenceMs: 10_000, retryMs: 60_000, pollMs: 2000 }
/** Single runs may take this part of the time. */
const POLL_SHARE = 1 / 100

interface Run {
  child: ChildProcess
  looping: boolean
  startedMs: number
  lastLineMs: number | undefined
}

/**
 * Figures of NVIDIA's cards by `nvidia-smi`. Starting it costs far more than a reading, so one process is kept that
 * repeats its query each second. Where that one stays silent, single runs are made instead, as rarely as they are slow.
 * Everything is driven by {@link figures}, which never waits.
 */
export class NvidiaSmi {
  readonly #searchPath: string
  readonly #timing: NvidiaSmiTiming
  readonly #now: () => number
  readonly #cards = new Map<string, { figures: GpuFigures; atMs: number }>()
  readonly #killAtExit = (): void => this.#kill()
  #run: Run | undefined
  #killed: ChildProcess | undefined
  #loop = true
  #nextStartMs = -Infinity
  #stopped = false
  /** How long a figure may stand. */
  #keepMs: number

  constructor(options: { searchPath: string; now: () => number; timing?: Partial<NvidiaSmiTiming> | undefined }) {
    this.#searchPath = options.searchPath
    this.#now = options.now
    this.#timing = { ...TIMING, ...options.timing }
    this.#keepMs = this.#timing.silenceMs
    process.on('exit', this.#killAtExit)
  }

  /** Pid of the `nvidia-smi` that runs now. */
  get pid(): number | undefined {
    return this.#run?.child.pid
  }

  /** The last figures of each card by its index; none where there is no card. */
  figures(): ReadonlyMap<string, GpuFigures> {
    const now = this.#now()
    this.#keepRunning(now)
    for (const [index, { atMs }] of this.#cards) {
      if (now - atMs > this.#keepMs) this.#cards.delete(index)
    }
    return new Map([...this.#cards].map(([index, { figures }]) => [index, figures]))
  }

  stop(): void {
    this.#stopped = true
    process.off('exit', this.#killAtExit)
    this.#kill()
  }

  #keepRunning(now: number): void {
    if (this.#stopped) return
    const run = this.#run
    if (run === undefined) {
      // One that hangs in the driver does not even die: no second one is put beside it.
      if (now >= this.#nextStartMs && !isAlive(this.#killed)) this.#start(now)
    } else if (now - (run.lastLineMs ?? run.startedMs) > this.#timing.silenceMs) {
      this.#kill()
      this.#loop = !run.looping
      this.#nextStartMs = run.looping ? now : now + this.#timing.retryMs
    }
  }

  #start(now: number): void {
    const program = findProgram('nvidia-smi', this.#searchPath)
    this.#nextStartMs = now + this.#timing.retryMs
    if (program === undefined) return
    const child = spawn(program, this.#loop ? [...QUERY, '--loop=1'] : QUERY, { stdio: ['ignore', 'pipe', 'ignore'] })
    const run: Run = { child, looping: this.#loop, startedMs: now, lastLineMs: undefined }
    this.#run = run
    child.unref()
    readLines(child, line => {
      if (this.#run === run) this.#accept(run, line)
    })
    child.once('error', () => this.#ended(run))
    child.once('close', () => this.#ended(run))
  }

  #accept(run: Run, line: string): void {
    const card = parseCard(line)
    if (card === undefined) return
    run.lastLineMs = this.#now()
    this.#cards.set(card.index, { figures: card.figures, atMs: run.lastLineMs })
  }

  #ended(run: Run): void {
    if (this.#run !== run) return
    this.#run = undefined
    const now = this.#now()
    if (run.looping || run.lastLineMs === undefined) {
      this.#nextStartMs = now + this.#timing.retryMs
      return
    }
    const pause = Math.min(this.#timing.retryMs, Math.max(this.#timing.pollMs, (now - run.startedMs) / POLL_SHARE))
    this.#nextStartMs = now + pause
    this.#keepMs = pause + this.#timing.silenceMs
  }

  #kill(): void {
    if (this.#run === undefined) return
    const { child } = this.#run
    this.#run = undefined
    this.#killed = child
    child.stdout?.destroy()
    child.kill('SIGKILL')
  }
}

function isAlive(child: ChildProcess | undefined): boolean {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  const { stdout } = child
  if (stdout === null) return
  if (stdout instanceof Socket) stdout.unref()
  let rest = ''
  stdout.setEncoding('latin1')
  stdout.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(0, LONGEST_LINE)
    for (const line of lines) onLine(line)
  })
  stdout.on('error', () => {})
}

/** One line of the query; a figure the card does not have is `[N/A]` or `[Not Supported]`. */
function parseCard(line: string): { index: string; figures: GpuFigures } | undefined {
  const [index = '', ...values] = line.split(',').map(value => value.trim())
  if (!/^\d{1,3}$/.test(index) || values.length !== 3) return undefined
  const [used, total, utilization] = values.map(value => (/^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined))
  const hasMemory = used !== undefined && total !== undefined && total > 0
  return {
    index,
    figures: {
      memory: hasMemory ? Math.min(1, used / total) : undefined,
      memoryTotalBytes: hasMemory ? total * MEBIBYTE : undefined,
      utilization: utilization === undefined ? undefined : Math.min(100, utilization),
    },
  }
}

function findProgram(name: string, searchPath: string): string | undefined {
  for (const folder of searchPath.split(delimiter)) {
    if (folder === '') continue
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  return undefined
}
