/** A real server with real workers and models, and pictures in every wire form. */
import pino from 'pino'
import type { Test } from 'tap'
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../lib/http/index.js'
import { native } from '../../lib/native.js'
import { createSampler } from '../../lib/host/index.js'
import { startWorkers, type Workers, type WorkersOptions } from '../../lib/workers/index.js'
import { sample } from '../helpers/pictures.js'

export interface TestServer {
  url: string
  port: number
  server: HttpServer
  workers: Workers
}

export interface TestServerOptions
  extends Partial<Pick<HttpServerOptions, 'control' | 'settings' | 'tracing' | 'rendered' | 'tls'>> {
  tasks: WorkersOptions['tasks']
  queueSize?: number
  host?: string
}

export async function startServer(t: Test, options: TestServerOptions): Promise<TestServer> {
  const { tasks, queueSize, control, settings, tracing, rendered, tls, host = '127.0.0.1' } = options
  const log = pino({ level: 'error' }, pino.destination(2))
  const workers = await startWorkers({ tasks, threads: 1, queueSize, log })
  const sampler = createSampler()
  const server = await createHttpServer({
    workers, sampler, log, version: '0.0.0-test', deviceIp: '127.0.0.9', control, settings, tracing, rendered, tls,
  })
  const port = await server.listen(host, 0)
  t.teardown(async () => {
    sampler.stop()
    await server.close()
    await workers.close({ now: true })
  })
  return { url: `http://${host}:${port}`, port, server, workers }
}

export { sample }

/** `ndarray.tolist()` as JSON text, from the pixels of a JPEG file. */
export async function nestedList(file: Buffer, width: number): Promise<string> {
  const pixels = await native.annotate({ kind: 'encoded', data: file }, [], 'raw')
  const rows: string[] = []
  for (let at = 0; at < pixels.length; at += width * 3) {
    const row: string[] = []
    for (let x = at; x < at + width * 3; x += 3) row.push(`[${pixels[x]},${pixels[x + 1]},${pixels[x + 2]}]`)
    rows.push(`[${row.join(',')}]`)
  }
  return `[${rows.join(',')}]`
}

/** Each form of a string, by its name. */
export const TEXT_FORMS = {
  literal: (file: Buffer) => native.encodeBytesLiteral(file),
  base64: (file: Buffer) => file.toString('base64'),
  dataUrl: (file: Buffer) => `data:image/jpeg;base64,${file.toString('base64')}`,
  latin1: (file: Buffer) => file.toString('latin1'),
} as const

export type Answer = Record<string, unknown>

export interface Reply {
  status: number
  headers: Headers
  body: Answer
}

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array) && !(body instanceof FormData)
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...(isJson && { 'content-type': 'application/json' }), ...headers },
    body: isJson ? JSON.stringify(body) : body as NonNullable<RequestInit['body']>,
  })
  return { status: response.status, headers: response.headers, body: await response.json() as Answer }
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Reply> {
  const response = await fetch(url, { headers })
  return { status: response.status, headers: response.headers, body: await response.json() as Answer }
}
