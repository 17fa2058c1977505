/** What the server and its worker processes say to each other, apart from the jobs. */
import type { ErrorCode } from '../../errors.js'
import type { TaskName } from '../../tasks/registry.js'
import type { TaskOptions } from '../../tasks/index.js'

/** Descriptors of a worker: the channel, the memory that pictures lie in, the socket of the jobs. */
export const CHANNEL_FD = 3
export const MEMORY_FD = 4
export const JOBS_FD = 5

export interface WireError {
  code: ErrorCode
  message: string
}

export type ToWorker =
  /** `protocol`: version of the job protocol. */
  | { type: 'load'; protocol: number; task: TaskName; options: TaskOptions }
  /** Cancel a job, running or still to come. */
  | { type: 'cancel'; id: number }
  /** Compute with another number of threads from the next job on. */
  | { type: 'threads'; threads: number }

export type FromWorker =
  | { type: 'ready'; protocol: number; model: string; labels: readonly string[]; provider: string; warnings: string[] }
  | { type: 'failed'; error: WireError }
