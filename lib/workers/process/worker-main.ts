/**
 * A worker process: one task, one model. Its jobs come over a socket of their own and are answered by native code. What
 * else it is to do it is told over the channel; it ends when that closes, so that no worker outlives its server.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { TaskName } from '../../tasks/registry.js'
import { native, toEdgeInferError } from '../../native.js'
import { createTask, type Detector, type HeadPoseEstimator, type TaskOptions } from '../../tasks/index.js'
import { Channel } from './channel.js'
import { expectSameProtocol } from './job-protocol.js'
import { CHANNEL_FD, JOBS_FD, MEMORY_FD, type FromWorker, type ToWorker, type WireError } from './messages.js'

interface Load {
  protocol: number
  task: TaskName
  options: TaskOptions
}

class Worker {
  readonly #channel: Channel<FromWorker, ToWorker>
  readonly #jobs = native.openJobServer(JOBS_FD, MEMORY_FD)
  #load: Load | undefined
  #task: Detector | HeadPoseEstimator | undefined
  /** The end of everything that has been asked for so far. */
  #last: Promise<void> = Promise.resolve()

  constructor(socket: Socket) {
    this.#channel = new Channel(socket, (message) => this.#receive(message))
  }

  #receive(message: ToWorker): void {
    switch (message.type) {
      case 'load':
        this.#load = message
        process.title = `edge-infer ${message.task}`
        this.#then(() => this.#loadTask())
        break
      case 'cancel':
        this.#jobs.cancel(message.id)
        break
      case 'threads':
        this.#then(() => this.#setThreads(message.threads))
    }
  }

  #then(step: () => Promise<void>): void {
    this.#last = this.#last.then(step)
  }

  async #loadTask(): Promise<void> {
    const load = this.#load as Load
    try {
      expectSameProtocol('server', load.protocol)
      this.#task = await createTask(load.task, { ...load.options, download: false })
    } catch (error) {
      this.#channel.send({ type: 'failed', error: wireError(error) })
      return
    }
    expectToBeKilledFirst(OOM_SCORE)
    const { entry: { name, labels }, provider, warnings } = this.#task.model
    const protocol = native.jobProtocol().version
    this.#channel.send({ type: 'ready', protocol, model: name, labels, provider, warnings })
    this.#serve().catch((error: unknown) => fail('cannot go on', error))
  }

  /** Until the server sends no more jobs. Meanwhile another number of threads may take the session away. */
  async #serve(): Promise<void> {
    const closed = async (): Promise<boolean> => {
      try {
        return await (this.#task as Detector | HeadPoseEstimator).serveJobs(this.#jobs)
      } catch (error) {
        if (toEdgeInferError(error).code === 'CLOSED') return false
        throw error
      }
    }
    while (!(await closed())) await this.#last
    this.#channel.end(() => process.exit(0))
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
      fail(`cannot change to ${threads} threads`, error)
    }
  }
}

function fail(what: string, error: unknown): never {
  process.stderr.write(`${what}: ${wireError(error).message}\n`)
  process.exit(1)
}

function wireError(error: unknown): WireError {
  const { code, message } = toEdgeInferError(error)
  return { code, message }
}

/**
 * Where memory runs out, the kernel's OOM killer is to end a worker, which is replaced, rather than the server: added
 * to the share of memory by which it chooses (proc_pid_oom_score_adj(5)), thousandths.
 */
const OOM_SCORE = 500
/** One that loads its model is to go before those that serve. */
const OOM_SCORE_LOADING = 1000
const OOM_FILE = '/proc/self/oom_score_adj'
const serverScore = readFileSync(OOM_FILE, 'utf8')

function expectToBeKilledFirst(score: number): void {
  try {
    writeFileSync(OOM_FILE, `${Math.min(1000, Number(serverScore) + score)}`)
  } catch {
    // Where /proc may not be written the kernel chooses by size alone.
  }
}

expectToBeKilledFirst(OOM_SCORE_LOADING)

// The server decides when a worker ends; a terminal's or a supervisor's signal reaches the whole group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true })
socket.on('close', () => process.exit(0))
socket.on('error', (error) => ('syscall' in error ? process.exit(0) : fail('cannot understand the server', error)))
new Worker(socket)
