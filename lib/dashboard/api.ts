/** Calls to nodes: control, with the token where one is asked for, and tasks. */
import type { WireLimits } from '../workers/limits/registry.js'

/** A refusal in the words of the node, or what kept it from answering. */
export class ApiError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }

  /** Whether a token would help; some nodes refuse everyone who is not on their own machine. */
  get wantsToken(): boolean {
    return this.code === 'UNAUTHORIZED' && this.message.includes('Authorization: Bearer')
  }
}

export type Answer = Record<string, unknown>

export type Control =
  | { route: 'add_work_process' | 'decrease_work_process'; body: { task_name: string } }
  | { route: 'limit_task_resource'; body: { task_name: string } & WireLimits }
  | { route: 'limit_process_resource'; body: { task_name: string; pid: number } & WireLimits }

/** @throws ApiError */
export async function control(base: string, { route, body }: Control): Promise<Answer> {
  const token = tokenOf(base)
  const { answer } = await post(`${base}/${route}`, JSON.stringify(body), {
    'content-type': 'application/json',
    ...(token !== null && { authorization: `Bearer ${token}` }),
  })
  return answer
}

/** Tokens are kept for as long as the tab is, one a node. */
export function tokenOf(base: string): string | null {
  return sessionStorage.getItem(`token ${base}`)
}

export function keepToken(base: string, token: string | null): void {
  if (token === null) sessionStorage.removeItem(`token ${base}`)
  else sessionStorage.setItem(`token ${base}`, token)
}

export interface TaskReply {
  answer: Answer
  /** Milliseconds by stage, as the node measured them. */
  stages: [name: string, milliseconds: number][]
  /** Milliseconds from the call to the last byte of the answer. */
  roundTrip: number
}

/** @throws ApiError */
export async function executeTask(
  base: string, task: string, body: Blob | string, signal?: AbortSignal,
): Promise<TaskReply> {
  const type = typeof body === 'string' ? 'application/json' : body.type
  const headers = type ? { 'content-type': type } : undefined
  const start = performance.now()
  const { answer, headers: sent } = await post(`${base}/execute_task/${task}`, body, headers ?? {}, signal)
  return { answer, stages: parseServerTiming(sent.get('server-timing') ?? ''), roundTrip: performance.now() - start }
}

function parseServerTiming(header: string): TaskReply['stages'] {
  return [...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name = '', duration]) => [name, Number(duration)])
}

async function post(
  url: string, body: BodyInit, headers: Record<string, string>, signal?: AbortSignal,
): Promise<{ answer: Answer; headers: Headers }> {
  let response: Response
  let answer: unknown
  try {
    response = await fetch(url, { method: 'POST', body, headers, ...(signal && { signal }) })
    answer = await response.json()
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError('NODE_UNREACHABLE', `${new URL(url).host} did not answer: ${(error as Error).message}`)
  }
  const { error } = answer as { error?: { code: string; message: string } }
  if (error) throw new ApiError(error.code, error.message)
  if (!response.ok) throw new ApiError(`HTTP ${response.status}`, response.statusText)
  return { answer: answer as Answer, headers: response.headers }
}
