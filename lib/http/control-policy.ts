/** Who may call the control routes: bearers of the token, or, where there is none, callers on this machine. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { EdgeInferError } from '../errors.js'
import type { ControlPolicy } from './context.js'

/** A hook for routes that change the node. @throws EdgeInferError UNAUTHORIZED. */
export function controlGuard({ token, open }: ControlPolicy): (request: FastifyRequest) => Promise<void> {
  const expected = token === undefined ? undefined : digest(token)
  return async (request) => {
    if (expected) requireToken(request, expected)
    else if (!open) requireLoopback(request)
  }
}

function requireToken({ headers }: FastifyRequest, expected: Buffer): void {
  const sent = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  if (sent !== undefined && timingSafeEqual(digest(sent), expected)) return
  const what = sent === undefined ? 'none' : 'another token'
  refuse(`Expected the header "Authorization: Bearer <token>" with this node's token but received ${what}`)
}

/** Digests have one length, so that comparing them tells nothing of the token's. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** A page of another site in a browser on this machine, or a proxy on it, calls from the loopback interface as well. */
function requireLoopback({ headers, socket }: FastifyRequest): void {
  const address = socket.remoteAddress ?? 'an unknown address'
  const forwarded = headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined
  const { origin } = headers
  const hint = 'start the server with --token or --open-control for others'
  if (!isLoopback(address) || forwarded) {
    refuse(`Expected a caller on this machine but received one ${forwarded ? 'through a proxy' : `at ${address}`}; ${hint}`)
  }
  if (origin !== undefined && !isLoopback(hostOf(origin))) {
    refuse(`Expected a page of this machine but received a call from one of ${origin}; ${hint}`)
  }
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const version = isIP(host)
  return version !== 0 && LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6')
}

function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).hostname.replace(/^\[|\]$/g, '') : origin
}

function refuse(message: string): never {
  throw new EdgeInferError('UNAUTHORIZED', message)
}
