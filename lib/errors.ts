/**
 * Every error a user can meet: a stable code, the HTTP status it answers with, and one sentence for the reference.
 * A message says what was wrong, what was expected and what was received.
 */
export const ERROR_TABLE = {
  BAD_REQUEST: { status: 400, summary: 'The request is not in the documented form.' },
  BAD_IMAGE: { status: 400, summary: 'The image is missing, broken, or not of an accepted form, type or size.' },
  BAD_LIMIT: { status: 400, summary: 'A resource limit is outside its range or of the wrong type.' },
  BAD_OPTION: {
    status: 400, summary: 'An option of the library, the command line or a configuration file has a wrong value.',
  },
  BAD_MODEL_CTX: { status: 400,
    summary: 'A field of model_ctx is outside its range, of the wrong type, or does not fit the task or the model.' },
  UNAUTHORIZED: { status: 401, summary: 'The route needs a bearer token, or a caller on the loopback interface.' },
  NOT_FOUND: { status: 404, summary: 'There is no such route.' },
  UNKNOWN_TASK: { status: 404, summary: 'There is no task of that name.' },
  UNKNOWN_PID: { status: 404, summary: 'No worker of this node has that pid.' },
  UNKNOWN_MODEL: { status: 404, summary: 'The model is neither in the catalogue nor a file.' },
  METHOD_NOT_ALLOWED: { status: 405, summary: 'The route answers another method.' },
  REQUEST_TIMEOUT: { status: 408, summary: 'The request did not arrive completely in time.' },
  LAST_WORKER: { status: 409, summary: 'The last worker of a task is not removed.' },
  LIMIT_TOO_LOW: { status: 409, summary: 'The limit is below what is in use, or leaves no room for one more worker.' },
  ADDRESS_TAKEN: { status: 409, summary: 'Another node of the cluster is known by that address.' },
  TOO_LARGE: { status: 413, summary: 'The body, the image or the list of images is larger than the limit.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, summary: 'The content type is not one that carries an image or JSON.' },
  ABORTED: { status: 499, summary: 'The caller cancelled the request before the result was ready.' },
  INTERNAL: { status: 500, summary: 'A fault of this program.' },
  MODEL_LOAD: { status: 500, summary: 'The model file cannot be loaded, or its tensors do not fit its family.' },
  NOT_QUANTIZED: {
    status: 422, summary: 'The model cannot be quantised, or loses more accuracy by it than was allowed.',
  },
  MODEL_DIGEST: { status: 500, summary: 'The model file is not the one the catalogue names.' },
  MODEL_OUTPUT: {
    status: 500, summary: 'The model answered what no result can be: a score outside 0 to 1, a box without area, NaN.',
  },
  INFERENCE: { status: 500, summary: 'The runtime failed while it ran the model.' },
  BAD_REPLY: { status: 502, summary: 'A node answered something that is not in the documented form.' },
  CLOSED: { status: 503, summary: 'The task, worker or server has been closed.' },
  STARTING: { status: 503, summary: 'The task has no worker yet: its model is being fetched, or its worker starts.' },
  NO_WORKER: { status: 503, summary: 'The task has no worker that is ready.' },
  QUEUE_FULL: { status: 503, summary: 'Every worker of the task has a full queue; try again shortly.' },
  WORKER_DIED: { status: 503, summary: 'The workers that held the request died.' },
  NODE_UNREACHABLE: { status: 503, summary: 'A node cannot be reached, or the connection broke before it answered.' },
  CLUSTER_FULL: { status: 503, summary: 'The cluster has as many nodes as its cloud remembers.' },
  CGROUP_UNAVAILABLE: { status: 503, summary: 'This machine gives no control group that the server may write.' },
  NOT_WRITTEN: { status: 500, summary: 'The disk is full or broken: a result could not be written.' },
  MODEL_UNAVAILABLE: { status: 503, summary: 'The model is not on this machine and could not be fetched.' },
  RUNTIME_UNAVAILABLE: { status: 503, summary: 'The native addon or the ONNX Runtime library cannot be loaded.' },
  FFMPEG_UNAVAILABLE: {
    status: 503, summary: 'The program ffmpeg, which reads and writes videos, is missing, or was killed at its work.',
  },
  PROVIDER_UNAVAILABLE: { status: 503, summary: 'The runtime does not have the execution provider of that device.' },
  TIMEOUT: { status: 504, summary: 'The request was not answered before its deadline.' },
} as const satisfies Record<string, { status: number; summary: string }>

export type ErrorCode = keyof typeof ERROR_TABLE

/** An error with a stable {@link ErrorCode}. `details` are figures a program may read. */
export class EdgeInferError extends Error {
  override readonly name = 'EdgeInferError'
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details
  }

  /** True of the errors of every copy of this class: a program may hold that of `import` and that of `require`. */
  static override [Symbol.hasInstance](value: unknown): value is EdgeInferError {
    return value instanceof Error && value.name === 'EdgeInferError' && 'code' in value && isErrorCode(value.code)
  }

  /** The HTTP status this error answers with. */
  get status(): number {
    return ERROR_TABLE[this.code].status
  }
}

const DISK_FAULTS: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO']

/** Why `what`, a file that somebody asked for, was not written: the disk, or the place that was named. */
export function writeError(what: string, cause: Error & { code?: unknown }): EdgeInferError {
  const code = DISK_FAULTS.includes(cause.code) ? 'NOT_WRITTEN' : 'BAD_OPTION'
  return new EdgeInferError(code, `${what} cannot be written: ${cause.message}`, { cause })
}

/** Whether `value` is one of the codes of {@link ERROR_TABLE}. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_TABLE, value)
}

/** A value as a message shows it: `0 of type number`, `[0,0]`. */
export function received(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (Array.isArray(value)) return shownList(value)
  const text = typeof value === 'string' ? JSON.stringify(value)
    // Its own toString may be no function, in an object out of JSON.
    : typeof value === 'object' ? Object.prototype.toString.call(value) : String(value)
  return `${text.length > 60 ? `${text.slice(0, 57)}…` : text} of type ${typeof value}`
}

/** A short list of plain values is shown whole. */
function shownList(list: readonly unknown[]): string {
  const isPlain = list.length <= 16 && list.every((value) => typeof value !== 'object' || value === null)
  const text = isPlain ? JSON.stringify(list) : ''
  return text === '' || text.length > 60 ? `a list of ${list.length}` : text
}
