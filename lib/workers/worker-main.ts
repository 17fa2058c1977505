/**
 * A worker process: one task, one model. It is told what to do over file descriptor 3 and ends when that closes, so
 * that no worker outlives its server.
 */
import { Socket } from 'node:net'
import { createTask, type TaskOptions } from '../tasks/index.js'
import type { TaskName } from '../models/index.js'
import { native, toEdgeInferError } from '../native.js'
import { runJob, type LoadedTask } from '../tasks/run-job.js'
import { Channel, type Received } from './channel.js'
import { packResult, unpackJob, type FromWorker, type ToWorker, type WireError, type WireJob } from './messages.js'

const CHANNEL_FD = 3
const MEMORY_FD = 4

interface Load {
  task: TaskName
  options: TaskOptions
}

class Worker {
  readonly #channel: Channel<FromWorker, ToWorker>
  readonly #memory = native.mapSharedMemory(MEMORY_FD)
  /** Jobs that are not answered yet. */
  readonly #jobs = new Map<number, { controller: AbortController; started: boolean }>()
  #load: Load | undefined
  #task: LoadedTask | undefined
  /** The end of everything that has been asked for so far: jobs run one after the other. */
  #last: Promise<void> = Promise.resolve()

  constructor(socket: Socket) {
    this.#channel = new Channel(socket, (message) => this.#receive(message))
  }

  #receive({ header, data }: Received<ToWorker>): void {
    switch (header.type) {
      case 'load':
        this.#load = header
        process.title = `edge-infer ${header.task}`
        this.#then(() => this.#loadTask())
        break
      case 'run': {
        const { id, job, shared } = header
        const bytes = shared ? this.#memory.subarray(shared.offset, shared.offset + shared.bytes) : data
        this.#jobs.set(id, { controller: new AbortController(), started: false })
        this.#then(() => this.#run(id, job, bytes))
        break
      }
      case 'cancel':
        this.#cancel(header.id)
        break
      case 'threads':
        this.#then(() => this.#setThreads(header.threads))
        break
      case 'stop':
        this.#then(async () => this.#channel.end(() => process.exit(0)))
    }
  }

  #then(step: () => Promise<void>): void {
    this.#last = this.#last.then(step)
  }

  async #loadTask(): Promise<void> {
    const load = this.#load as Load
    try {
      this.#task = await createTask(load.task, { ...load.options, download: false })
      const { entry, provider, warnings } = this.#task.model
      this.#channel.send({ type: 'ready', model: entry.name, provider, warnings })
    } catch (error) {
      this.#channel.send({ type: 'failed', error: wireError(error) })
    }
  }

  /**
   * The number of threads belongs to a session: another one is made, between two jobs. The first is freed before, since
   * a memory limit need not leave room for two.
   */
  async #setThreads(threads: number): Promise<void> {
    const load = this.#load
    if (!load || !this.#task || load.options.threads === threads) return
    load.options = { ...load.options, threads }
    try {
      await this.#task.close()
      this.#task = await createTask(load.task, { ...load.options, download: false })
    } catch (error) {
      process.stderr.write(`cannot change to ${threads} threads: ${wireError(error).message}\n`)
      process.exit(1)
    }
  }

  /** A job that has not begun is answered at once; one that runs, when its native work has ended. */
  #cancel(id: number): void {
    const job = this.#jobs.get(id)
    job?.controller.abort()
    if (!job || job.started) return
    this.#jobs.delete(id)
    this.#channel.send({ type: 'error', id, error: { code: 'ABORTED', message: 'The call was aborted' } })
  }

  async #run(id: number, wire: WireJob, bytes: Buffer): Promise<void> {
    const held = this.#jobs.get(id)
    if (!held) return
    held.started = true
    const begin = process.hrtime.bigint()
    const cpu = process.cpuUsage()
    try {
      const outcome = await runJob(this.#task as LoadedTask, unpackJob(wire, bytes), held.controller.signal)
      const { user, system } = process.cpuUsage(cpu)
      const usage = {
        wallSeconds: Number(process.hrtime.bigint() - begin) / 1e9,
        cpuSeconds: (user + system) / 1e6,
        rssBytes: process.memoryUsage.rss(),
      }
      const { result, data } = packResult({ ...outcome, usage })
      this.#channel.send({ type: 'result', id, result }, data)
    } catch (error) {
      this.#channel.send({ type: 'error', id, error: wireError(error) })
    } finally {
      this.#jobs.delete(id)
    }
  }
}

function wireError(error: unknown): WireError {
  const { code, message } = toEdgeInferError(error)
  return { code, message }
}

// The server decides when a worker ends; a terminal's or a supervisor's signal reaches the whole group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true })
socket.on('close', () => process.exit(0))
socket.on('error', () => process.exit(0))
new Worker(socket)
