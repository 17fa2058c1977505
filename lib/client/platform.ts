/**
 * What a client needs of where it runs. `#client/platform` (package.json) is platform-node.ts in Node.js, and
 * platform-web.ts in browsers and everywhere else.
 */
import type { ConnectionSettings } from './options.js'

export interface HttpRequest {
  method: 'GET' | 'POST'
  /** Below the origin, with its query string. */
  path: string
  headers: Readonly<Record<string, string>>
  body: Uint8Array | undefined
  signal: AbortSignal
}

export interface HttpReply {
  status: number
  text: string
  contentType: string | undefined
  retryAfter: string | undefined
}

export interface Connections {
  /** @throws EdgeInferError CLOSED, BAD_REPLY; anything else that kept the reply from coming. */
  request(request: HttpRequest): Promise<HttpReply>
  close(): Promise<void>
}

export interface Platform {
  /** @throws EdgeInferError BAD_OPTION for settings that cannot be had here. */
  connect(origin: string, settings: ConnectionSettings): Connections
  readFile(path: string | URL): Promise<Uint8Array>
  /** Whatever is no base64 in it is passed over. */
  decodeBase64(text: string): Uint8Array
  encodeBase64(bytes: Uint8Array): string
  /** A byte a character. */
  decodeLatin1(text: string): Uint8Array
  /** Calls `send` with the headers that carry the trace, if there is one. */
  traced<T extends { status: number }>(
    method: string, url: string, send: (headers: Record<string, string>) => Promise<T>,
  ): Promise<T>
}
