/** A node of the run: a real `edge-infer serve`, started again as often as it is ended, and a slow way to it. */
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawn, type ChildProcess } from 'node:child_process'
import type { ClusterInfo } from '../../lib/client/index.js'
import { repositoryPath } from '../helpers/shared.js'
import type { SlowProxy } from './slow-proxy.js'

/** Where a node's log goes: to a reader, to a full disk, or to a reader that goes away. */
export const LOG_SINKS = ['read', 'full', 'gone'] as const
export type LogSink = (typeof LOG_SINKS)[number]

export interface NodeSpec {
  name: string
  ip: string
  port: number
  /** Workers of each task it is started with. */
  tasks: Readonly<Record<string, number>>
  args: readonly string[]
  env: NodeJS.ProcessEnv
}

export interface Worker {
  pid: number
  task: string
}

/** How long a node may take to be ready, or to end: several start at once on a busy machine. */
export const PATIENCE_MS = 180_000

const KEPT_OUTPUT = 4000

export class ChaosNode {
  readonly spec: NodeSpec
  /** The slow way to it. */
  readonly proxy: SlowProxy
  /** It is being ended or stopped as a whole: one such disturbance at a time. */
  isTaken = false
  /** The run is over, or has failed: it is not started any more. */
  isOver = false
  /** Of every process it has been. */
  readonly pids: number[] = []
  #child: ChildProcess | undefined
  #said = ''

  constructor(spec: NodeSpec, proxy: SlowProxy) {
    this.spec = spec
    this.proxy = proxy
  }

  get name(): string {
    return this.spec.name
  }

  get url(): string {
    return `http://${this.spec.ip}:${this.spec.port}`
  }

  get slowUrl(): string {
    return `http://${this.spec.ip}:${this.proxy.port}`
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  get hasEnded(): boolean {
    return !this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** The last it said. */
  get said(): string {
    return this.#said
  }

  get tasks(): string[] {
    return Object.keys(this.spec.tasks)
  }

  start(sink: LogSink): void {
    if (this.isOver) return
    const { ip, port, tasks, args, env } = this.spec
    const wanted = Object.entries(tasks).flatMap(([task, workers]) => ['--task', `${task}=${workers}`])
    const command = [
      repositoryPath('bin', 'edge-infer'), 'serve', '--host', ip, '--port', String(port), '--threads', '1',
      ...wanted, ...args,
    ]
    const full = sink === 'full' ? openSync('/dev/full', 'w') : undefined
    const output = full ?? 'pipe'
    // Through `env`, which keeps its pid: the hooks that tap puts into NODE_OPTIONS cannot load the command line.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, ...command], {
      env: { ...process.env, ...env }, stdio: ['ignore', output, output], detached: true,
    })
    if (full !== undefined) closeSync(full)
    this.#child = child
    this.pids.push(this.pid)
    this.#said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-KEPT_OUTPUT)
        if (sink === 'gone') stream.destroy()
      })
    }
  }

  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded) process.kill(this.pid, name)
  }

  /** Resolves to the exit code, null after a signal; to `timeout` when it does not end, and kills it then. */
  async ended(): Promise<number | null | 'timeout'> {
    const child = this.#child
    if (!child || this.hasEnded) return child?.exitCode ?? null
    const outcome = await Promise.race([once(child, 'exit'), sleep(PATIENCE_MS, 'timeout' as const, { ref: false })])
    if (outcome !== 'timeout') return child.exitCode
    child.kill('SIGKILL')
    await once(child, 'exit')
    return 'timeout'
  }

  /** What it answers to a GET; undefined where there is no answer. */
  async get(path: string): Promise<unknown> {
    try {
      const response = await fetch(this.url + path, { signal: AbortSignal.timeout(10_000) })
      return response.ok ? await response.json() as unknown : undefined
    } catch {
      return undefined
    }
  }

  /** Its workers, as it says; none where it does not answer. */
  async workers(): Promise<Worker[]> {
    const info = await this.get('/get_cluster_info') as Partial<ClusterInfo> | undefined
    const services = Object.entries(info?.[this.spec.ip]?.service_state ?? {})
    return services.flatMap(([task, { workers = [] }]) => workers.map(({ pid }) => ({ pid, task })))
  }

  /** What keeps it from serving as it should; undefined where nothing does. */
  async trouble(): Promise<string | undefined> {
    if (this.hasEnded) return `it has ended: ${this.#said.slice(-600)}`
    const ready = await this.get('/readyz') as { tasks: string[] } | undefined
    if (!ready) return 'it is not ready'
    const missing = this.tasks.filter((task) => !ready.tasks.includes(task))
    if (missing.length > 0) return `it is ready without ${missing.join()}`
    const workers = await this.workers()
    const short = Object.entries(this.spec.tasks).find(([task, count]) =>
      workers.filter((worker) => worker.task === task).length < count)
    return short && `it has fewer than ${short[1]} workers for ${short[0]}`
  }
}
