/** Parses a node's reply: its JSON, or the error it reports. */
import { EdgeInferError, isErrorCode, type ErrorCode } from '../errors.js'

export interface Reply {
  status: number
  /** Parsed JSON: an object or a list. */
  body: object
  /** From sending the request to having the whole reply. */
  seconds: number
}

/** `details` of an error that a node answered. */
export interface ReplyDetails {
  url: string
  httpStatus: number
  /** The code the node gave, also where this version does not know it. */
  serverCode?: string
  retryAfterSeconds?: number
  /** The whole reply; that of a task route has `proc_resource_info`. */
  reply?: object
}

/** @throws EdgeInferError BAD_REPLY when the text is no JSON object or list. */
export function parseReply(url: string, httpStatus: number, contentType: string | undefined, text: string): object {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    // Not an object either.
  }
  if (typeof body === 'object' && body !== null) return body
  const begin = JSON.stringify(text.slice(0, 80))
  const shown = text === '' ? 'an empty body' : `${contentType ?? 'text'} beginning ${begin}`
  throw new EdgeInferError(
    'BAD_REPLY', `Expected a JSON object from ${url} but received status ${httpStatus} with ${shown}`,
    { details: { url, httpStatus } },
  )
}

const FLAGS = ['execute_flag', 'create_flag', 'decrease_flag', 'limit_flag'] as const

/** Old nodes refuse with a false flag alone. */
export function isRefusal(status: number, body: object): boolean {
  const members = body as Readonly<Record<string, unknown>>
  return status >= 400 || FLAGS.some((flag) => members[flag] === false)
}

export function refusal(url: string, status: number, body: object, retryAfter: string | undefined): EdgeInferError {
  const { error } = body as { error?: unknown }
  const { code, message } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>
  const retryAfterSeconds = parseRetryAfter(retryAfter)
  const details: ReplyDetails = {
    url,
    httpStatus: status,
    ...(typeof code === 'string' && { serverCode: code }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    reply: body,
  }
  const reason = typeof message === 'string' ? message : `${url} answered status ${status} and gave no reason`
  const known = isErrorCode(code)
  const text = known || typeof code !== 'string' ? reason : `${code}: ${reason}`
  return new EdgeInferError(known ? code : codeOfStatus(status), text, { details: { ...details } })
}

const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'UNAUTHORIZED',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  408: 'REQUEST_TIMEOUT',
  413: 'TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  502: 'NODE_UNREACHABLE',
  503: 'CLOSED',
  504: 'TIMEOUT',
}

function codeOfStatus(status: number): ErrorCode {
  return STATUS_CODES[status] ?? (status >= 400 && status < 500 ? 'BAD_REQUEST' : 'INTERNAL')
}

/** Seconds, from a number or a date. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}
