/** Answers for requests that never become one: broken HTTP, a head that is too large, a caller that is too slow. */
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { EdgeInferError } from '../errors.js'
import type { HttpContext } from './context.js'
import { isAnswering } from './request-lifecycle.js'
import { errorMember, taskFailureBody } from './failure.js'
import { JSON_TYPE } from './json-reply.js'

interface ConnectionFault {
  code?: string
  reason?: string
}

/** Long enough for the caller to read its answer before the connection is gone. */
const LINGER_MS = 1000

/** For `clientErrorHandler` of fastify. */
export function connectionErrorHandler(context: HttpContext): (fault: ConnectionFault, socket: Socket) => void {
  const refused = new WeakSet<Socket>()
  return (fault, socket) => {
    if (refused.has(socket)) return
    if (fault.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
      socket.destroy()
      return
    }
    refused.add(socket)
    const { status, error } = explain(fault, context)
    context.log.debug({ status, reason: fault.code, caller: socket.remoteAddress }, 'connection refused')
    const body = JSON.stringify(taskFailureBody(context, errorMember(error)))
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ` +
      `${Buffer.byteLength(body)}\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n${body}`)
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
}

function explain(fault: ConnectionFault, { settings }: HttpContext): { status: number; error: EdgeInferError } {
  switch (fault.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT': {
      const [head, all] = [settings.headersTimeout, settings.requestTimeout].map((milliseconds) => milliseconds / 1000)
      const message = `Expected the head of a request within ${head} s and all of it within ${all} s`
      return { status: 408, error: new EdgeInferError('REQUEST_TIMEOUT', message) }
    }
    case 'HPE_HEADER_OVERFLOW': {
      const message = `Expected headers of at most ${settings.maxHeaderSize} bytes together`
      return { status: 431, error: new EdgeInferError('TOO_LARGE', message) }
    }
    case 'HPE_INVALID_EOF_STATE': {
      const message = 'Expected the rest of the request but the caller ended the connection'
      return { status: 400, error: new EdgeInferError('BAD_REQUEST', message) }
    }
    default: {
      const message = `Expected an HTTP/1.1 request but received something else${fault.reason ? `: ${fault.reason}` : ''}`
      return { status: 400, error: new EdgeInferError('BAD_REQUEST', message) }
    }
  }
}

/** `Expect:` with anything but 100-continue. */
export function answerExpectations(server: Server, context: HttpContext): void {
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const error = new EdgeInferError('BAD_REQUEST', 'Expected no header Expect but 100-continue')
    const body = JSON.stringify(taskFailureBody(context, errorMember(error)))
    response.writeHead(417, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body), connection: 'close' })
    response.end(body)
    request.resume()
  })
}
