/** A worker process as the server sees it: it is started, given jobs, and may die. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { EdgeInferError } from '../../errors.js'
import { nodeEnvironment } from '../../platform/node-environment.js'
import { native, toEdgeInferError } from '../../native.js'
import type { TaskName } from '../../tasks/registry.js'
import type { TaskOptions } from '../../tasks/index.js'
import type { Job, JobResult } from '../../inference/job.js'
import { Channel } from './channel.js'
import { Framing } from './framing.js'
import { JobMemory } from './job-memory.js'
import { decodeAnswer, encodeJob, expectSameProtocol, type JobAnswer } from './job-protocol.js'
import { CHANNEL_FD, JOBS_FD, type FromWorker, type ToWorker } from './messages.js'

const MAIN = fileURLToPath(new URL('./worker-main.js', import.meta.url))
/** Stderr of a worker that is kept to explain its death. */
const KEPT_STDERR = 2000

export interface WorkerProcessOptions {
  task: TaskName
  options: TaskOptions
  /** Jobs it may be given before it has answered. */
  slots: number
  /** Called with the pid before the model is loaded: memory does not move with a process. */
  confine(pid: number): void
  /** Another program than the worker's, for a test. */
  program?: string
}

/** How a worker ended. */
export interface WorkerEnd {
  code: number | null
  signal: NodeJS.Signals | null
  /** The last it wrote to standard error. */
  stderr: string
}

interface Sent {
  resolve(result: JobResult): void
  reject(error: EdgeInferError): void
  /** Gives the job's shared memory back. */
  release: (() => void) | undefined
}

export class WorkerProcess {
  readonly pid: number
  readonly startedAt = new Date()
  /** Resolves, never rejects, when the process is gone. */
  readonly ended: Promise<WorkerEnd>
  /** The catalogue's name of the model, once it is ready. */
  model = ''
  /** ONNX Runtime's name of the execution provider that runs it. */
  provider = ''
  warnings: readonly string[] = []
  #labels: readonly string[] = []
  readonly #child: ChildProcess
  readonly #channel: Channel<ToWorker, FromWorker>
  readonly #jobs: Framing
  readonly #sent = new Map<number, Sent>()
  readonly #memory: JobMemory
  readonly #ready: Promise<void>
  #settleReady!: { resolve(): void; reject(error: EdgeInferError): void }
  #nextId = 1
  #stderr = ''

  /** @throws EdgeInferError WORKER_DIED when no process can be made or confined; `ready` may reject with it later. */
  constructor({ task, options, confine, slots, program = MAIN }: WorkerProcessOptions) {
    startStep(requireDescriptors)
    this.#memory = startStep(() => new JobMemory(slots))
    try {
      // One thread for V8's own chores, few malloc arenas: a worker's cores belong to its model.
      this.#child = startStep(() => spawn(process.execPath, ['--v8-pool-size=1', program], {
        stdio: ['ignore', 'ignore', 'pipe', 'pipe', this.#memory.fd, 'pipe'],
        env: { MALLOC_ARENA_MAX: '2', ...nodeEnvironment() },
      }))
    } catch (error) {
      this.#memory.close()
      throw error
    }
    this.#ready = new Promise((resolve, reject) => { this.#settleReady = { resolve, reject } })
    this.#ready.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve({ code: null, signal: null, stderr: error.message }))
      // Not at its exit: what it answered last may still lie in the channel then.
      this.#child.once('close', (code, signal) => resolve({ code, signal, stderr: this.#stderr.trim() }))
    })
    void this.ended.then((end) => this.#onEnd(end))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_STDERR)
    })
    const [control, jobs] = [CHANNEL_FD, JOBS_FD].map((fd) => socketOf(this.#child, fd)) as [Socket, Socket]
    // An error of the system means that the process is gone or going, which its end reports.
    const onError = (error: Error): void => { if (!('syscall' in error)) this.#break(error) }
    control.on('error', onError)
    jobs.on('error', onError)
    // One that takes no more jobs is of no use, should it live on.
    jobs.on('close', () => this.kill())
    this.#channel = new Channel(control, (message) => this.#receive(message))
    this.#jobs = new Framing(jobs, (header, data) => this.#settle(decodeAnswer(header, data)))
    this.pid = this.#child.pid ?? -1
    // What kept it from being made is told later, by the event `error`.
    if (this.pid < 0) return
    try {
      confine(this.pid)
    } catch (error) {
      this.kill()
      throw error
    }
    this.#channel.send({ type: 'load', protocol: native.jobProtocol().version, task, options })
  }

  /** Resolves when the model is loaded and warm. @throws EdgeInferError MODEL_*, WORKER_DIED. */
  get ready(): Promise<void> {
    return this.#ready
  }

  /** Gives the worker a job; it runs its jobs one after the other. `cancel` stops it, running or not. */
  run(job: Job): { result: Promise<JobResult>; cancel(): void } {
    const id = this.#nextId++
    let settle!: Pick<Sent, 'resolve' | 'reject'>
    const result = new Promise<JobResult>((resolve, reject) => { settle = { resolve, reject } })
    const pictures = job.images.map(({ data }) => data)
    const slot = this.#memory.write(pictures)
    this.#sent.set(id, { ...settle, release: slot?.release })
    // The caller may reclaim the pictures before they have left by the socket.
    this.#jobs.send(encodeJob(id, job, slot?.offset), slot ? [] : pictures.map((bytes) => Buffer.from(bytes)))
    return { result, cancel: () => this.#channel.send({ type: 'cancel', id }) }
  }

  setThreads(threads: number): void {
    this.#channel.send({ type: 'threads', threads })
  }

  /** Asks the worker to end after the jobs it has. */
  stop(): void {
    this.#jobs.end()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #receive(message: FromWorker): void {
    if (message.type === 'failed') {
      this.#settleReady.reject(new EdgeInferError(message.error.code, message.error.message))
      this.kill()
      return
    }
    expectSameProtocol('worker', message.protocol)
    this.model = message.model
    this.provider = message.provider
    this.#labels = message.labels
    this.warnings = message.warnings
    this.#settleReady.resolve()
  }

  #settle(answer: JobAnswer): void {
    const sent = this.#sent.get(answer.id)
    this.#sent.delete(answer.id)
    sent?.release?.()
    if ('result' in answer) sent?.resolve({ ...answer.result, labels: this.#labels })
    else sent?.reject(answer.error)
  }

  /** Kills a worker that cannot be understood. */
  #break(error: Error): void {
    this.#settleReady.reject(toEdgeInferError(error))
    this.#stderr = `${this.#stderr}\n${error.message}`.slice(-KEPT_STDERR)
    this.kill()
  }

  #onEnd(end: WorkerEnd): void {
    const error = this.pid < 0
      ? notStarted(end.stderr)
      : new EdgeInferError('WORKER_DIED', `The worker process ${this.pid} ${describeEnd(end)}${lastWords(end)}`)
    this.#settleReady.reject(error)
    for (const { reject } of this.#sent.values()) reject(error)
    this.#sent.clear()
    this.#memory.close()
  }
}

/** Node.js leaves a child without any streams where it had no descriptors for them. */
function socketOf(child: ChildProcess, fd: number): Socket {
  const stdio = child.stdio as ChildProcess['stdio'] | undefined
  return (stdio?.[fd] ?? new Socket()) as Socket
}

/** More than a process takes while it is made. */
const DESCRIPTORS_NEEDED = 16

/** Where there are too few Node.js loses those of the process it could not make: they are looked for first. */
function requireDescriptors(): void {
  const opened: number[] = []
  try {
    while (opened.length < DESCRIPTORS_NEEDED) opened.push(openSync('/dev/null', 'r'))
  } finally {
    for (const descriptor of opened) closeSync(descriptor)
  }
}

/** A step towards a process. @throws EdgeInferError WORKER_DIED. */
function startStep<T>(step: () => T): T {
  try {
    return step()
  } catch (cause) {
    throw notStarted((cause as Error).message, cause)
  }
}

/** What the limits are called, by what the system says when they are reached. */
const REACHED_LIMITS: readonly (readonly [RegExp, string])[] = [
  [/EMFILE|Too many open files/, 'this process may open no more files (ulimit -n, LimitNOFILE)'],
  [/ENFILE/, 'this machine may open no more files (fs.file-max)'],
  [/EAGAIN/, 'there may be no more processes and threads (ulimit -u, pids.max of the control group, TasksMax)'],
]

/** `reason`: what the system said. */
export function notStarted(reason: string, cause?: unknown): EdgeInferError {
  const [, hint] = REACHED_LIMITS.find(([pattern]) => pattern.test(reason)) ?? []
  return new EdgeInferError(
    'WORKER_DIED', `No worker process could be started: ${reason}${hint ? `: ${hint}` : ''}`, { cause })
}

/** Of a process that ended by itself. */
function lastWords({ code, stderr }: WorkerEnd): string {
  const line = /^\w*Error\b.*$/m.exec(stderr)?.[0] ?? stderr.split('\n').at(-1)
  return code === 1 && line ? `: ${line}` : ''
}

export function describeEnd({ code, signal }: WorkerEnd): string {
  return signal ? `was ended by ${signal}` : `ended with exit code ${code}`
}
