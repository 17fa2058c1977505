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
import { packResult, unpackJob, type FromWorker, type ToWorker, type WireError } from './messages.js'

const CHANNEL_FD = 3
const MEMORY_FD = 4

interface Load {
  task: TaskName
  options: TaskOptions
}

class Worker {
  readonly #channel: Channel<FromWorker, ToWorker>
  readonly #memory = native.mapSharedMemory(MEMORY_FD)
  readonly #running = new Map<number, AbortController>()
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
        const controller = new AbortController()
        this.#running.set(header.id, controller)
        const { id, job, shared } = header
        const bytes = shared ? this.#memory.subarray(shared.offset, shared.offset + shared.bytes) : data
        this.#then(() => this.#run(id, unpackJob(job, bytes), controller.signal))
        break
      }
      case 'cancel':
        this.#running.get(header.id)?.abort()
        break
      case 'threads':
        this.#then(() => this.#setThreads(header.threads))
        break
      case 'stop':
        this.#then(async () => process.exit(0))
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

  /** The number of threads belongs to a session: a second one is made, and takes over between two jobs. */
  async #setThreads(threads: number): Promise<void> {
    const load = this.#load
    if (!load || !this.#task || load.options.threads === threads) return
    load.options = { ...load.options, threads }
    try {
      const next = await createTask(load.task, { ...load.options, download: false })
      const previous = this.#task
      this.#task = next
      await previous.close()
    } catch (error) {
      process.stderr.write(`cannot change to ${threads} threads: ${wireError(error).message}\n`)
    }
  }

  async #run(id: number, job: ReturnType<typeof unpackJob>, signal: AbortSignal): Promise<void> {
    const begin = process.hrtime.bigint()
    const cpu = process.cpuUsage()
    try {
      const outcome = await runJob(this.#task as LoadedTask, job, signal)
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
      this.#running.delete(id)
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
