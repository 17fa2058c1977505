/** Options of the clients, checked. */
import type { SecureContextOptions } from 'node:tls'
import { EdgeInferError } from '../errors.js'

/** How images that come as bytes travel. */
export type ImageEncoding = 'raw' | 'base64' | 'bytes-literal'

/** Members of Node's `tls.connect` options. */
export interface TlsOptions extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'passphrase'> {
  /** Name to expect in the node's certificate, where it is not that of the URL. */
  servername?: string
  rejectUnauthorized?: boolean
}

export interface ClientOptions {
  /** Bearer token of the control routes; the cluster's where there is one. */
  token?: string | undefined
  /** Milliseconds a call may take, its retries included. Default 30,000. */
  timeoutMs?: number | undefined
  /** Milliseconds to wait for a connection. Default 2000. */
  connectTimeoutMs?: number | undefined
  /** Certificates for `https` URLs. */
  tls?: TlsOptions | undefined
  /** The most connections to a node; calls beyond it wait for one. Default 32. */
  connections?: number | undefined
  /** How often a call is tried again, where that is safe. Default 2. */
  retries?: number | undefined
  /**
   * `raw` (default): files as they are, one as the body, several as a form. `base64`: in JSON. `bytes-literal`: in
   * JSON too, the only encoding that older nodes read. Pictures given as strings are always sent as JSON.
   */
  imageEncoding?: ImageEncoding | undefined
  /** The largest reply read. Default 128 MiB. */
  maxReplyBytes?: number | undefined
}

export interface ConnectionSettings {
  token: string | undefined
  connectTimeoutMs: number
  tls: TlsOptions | undefined
  connections: number
  maxReplyBytes: number
}

export interface ClientSettings extends ConnectionSettings {
  timeoutMs: number
  retries: number
  imageEncoding: ImageEncoding
}

/** The longest delay of a Node timer. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1

export function checkOptions(options: ClientOptions): ClientSettings {
  return {
    token: options.token,
    tls: options.tls,
    timeoutMs: checkTimeout('timeoutMs', options.timeoutMs) ?? 30_000,
    connectTimeoutMs: checkTimeout('connectTimeoutMs', options.connectTimeoutMs) ?? 2000,
    connections: integerIn('connections', options.connections, 1, 10_000) ?? 32,
    retries: integerIn('retries', options.retries, 0, 100) ?? 2,
    imageEncoding: oneOf('imageEncoding', options.imageEncoding, ['raw', 'base64', 'bytes-literal'] as const) ?? 'raw',
    maxReplyBytes: integerIn('maxReplyBytes', options.maxReplyBytes, 1, Number.MAX_SAFE_INTEGER) ?? 128 << 20,
  }
}

export function checkTimeout(name: string, value: number | undefined): number | undefined {
  return integerIn(name, value, 1, MAX_TIMEOUT_MS)
}

export function integerIn(name: string, value: number | undefined, min: number, max: number): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return value
  throw badOption(name, `a whole number from ${min} to ${max}`, value)
}

export function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly T[]): T | undefined {
  if (value === undefined || choices.includes(value)) return value
  throw badOption(name, `one of ${choices.join(', ')}`, value)
}

export function checkUrl(url: string | URL): URL {
  const parsed = URL.canParse(String(url)) ? new URL(url) : undefined
  if (parsed && /^https?:$/.test(parsed.protocol)) return parsed
  throw badOption('url', 'an http or https URL of a node, such as http://192.168.1.20:5500', url)
}

function badOption(name: string, expected: string, value: unknown): EdgeInferError {
  const received = `${String(value)} of type ${typeof value}`
  return new EdgeInferError('BAD_OPTION', `Expected ${expected} for ${name} but received ${received}`)
}
