/** Browsers, and wherever else there is `fetch`. Connections and certificates are in the browser's hands. */
import { EdgeInferError } from '../errors.js'
import type { HttpReply, HttpRequest, Platform } from './platform.js'

export const platform: Platform = {
  connect(origin, { tls, maxReplyBytes }) {
    if (tls !== undefined) {
      throw new EdgeInferError('BAD_OPTION', 'Expected no tls, since the browser decides which certificates it trusts')
    }
    return { request: (request) => send(origin, request, maxReplyBytes), async close() {} }
  },
  readFile: () => Promise.reject(new Error('files have no path in a browser; pass the File, a Blob or bytes')),
  decodeBase64: (text) => latin1(atob(text.replace(/-/g, '+').replace(/_/g, '/').replace(/[^A-Za-z0-9+/]/g, ''))),
  encodeBase64: (bytes) => btoa(binaryString(bytes)),
  decodeLatin1: latin1,
  // Tracing of fetch is what a page's own instrumentation does.
  traced: (_method, _url, send) => send({}),
}

async function send(
  origin: string, { method, path, headers, body, signal }: HttpRequest, maxReplyBytes: number,
): Promise<HttpReply> {
  const options = { cache: 'no-store', credentials: 'omit', redirect: 'error' } as const
  const response = await fetch(origin + path, { ...options, method, headers, signal, body: body ?? null })
  const decoder = new TextDecoder()
  const reader = response.body?.getReader()
  let [text, size] = ['', 0]
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const bytes = part.value as Uint8Array
    size += bytes.length
    if (size > maxReplyBytes) {
      await reader?.cancel()
      const message = `The reply of ${origin} is larger than maxReplyBytes`
      throw new EdgeInferError('BAD_REPLY', message, { details: { url: origin } })
    }
    text += decoder.decode(bytes, { stream: true })
  }
  return {
    status: response.status,
    text: text + decoder.decode(),
    contentType: response.headers.get('content-type') ?? undefined,
    retryAfter: response.headers.get('retry-after') ?? undefined,
  }
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** In parts: a function takes only so many parameters. */
function binaryString(bytes: Uint8Array): string {
  const part = 1 << 15
  let text = ''
  for (let begin = 0; begin < bytes.length; begin += part) {
    text += String.fromCharCode(...bytes.subarray(begin, begin + part))
  }
  return text
}
