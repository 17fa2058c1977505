/** One request by hand over HTTP/1.1, with its answer. */
import { request, type Agent } from 'node:http'
import { ERROR_TABLE, isErrorCode } from '../../lib/errors.js'
import { LOST, RACED, REFUSED, SILENT } from './ledger.js'

export interface Answer {
  status: number
  body: Record<string, unknown>
}

/** No answer: `code` is REFUSED, RACED, LOST or SILENT, the message says how. */
export class NoAnswer extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Longer than anything that is not stuck. */
const SILENCE_MS = 150_000

/** What `work` gives. @throws NoAnswer SILENT when it gives nothing for too long. */
export async function withoutSilence<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(SILENT, `nothing for ${SILENCE_MS} ms`)), SILENCE_MS)
  })
  return Promise.race([work, silence]).finally(() => clearTimeout(timer))
}

export function post(
  agent: Agent, url: string, path: string, headers: Record<string, string>, body: Buffer,
): Promise<Answer> {
  const { hostname: host, port } = new URL(url)
  const sent = request({
    host, port, path, method: 'POST', agent, headers: { ...headers, 'content-length': body.length },
  })
  const answered = new Promise<Answer>((resolve, reject) => {
    const lost = ({ code = '', message }: NodeJS.ErrnoException): void =>
      reject(new NoAnswer(codeOfLoss(code, sent.reusedSocket), `${code} ${message}`))
    sent.on('error', lost)
    sent.on('response', (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', lost)
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString()) })
      })
    })
  })
  sent.end(body)
  return withoutSilence(answered).catch((error: unknown) => {
    sent.destroy()
    throw error
  })
}

function codeOfLoss(code: string, reusedSocket: boolean): string {
  if (code === 'ECONNREFUSED') return REFUSED
  // RFC 9112, 9.5: a client must be ready for a server that closes an idle connection at any time.
  return code === 'ECONNRESET' && reusedSocket ? RACED : LOST
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { notJson: text.slice(0, 200) }
  }
}

/** The codes an error may have: that which the node answered, or, where its protocol has none, those of its status. */
export function codesOf({ status, body }: Answer): string[] {
  const { error } = body
  if (typeof error === 'string') {
    return Object.entries(ERROR_TABLE).filter(([, row]) => row.status === status).map(([code]) => code)
  }
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown }
  return isErrorCode(code) && ERROR_TABLE[code].status === status ? [code] : []
}
