/** The routes that change a node or its cluster: who may call them, and how one is declared. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import type { FastifyInstance, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { Type, type TObject, type TProperties, type TSchema } from 'typebox'
import { EdgeInferError, type ErrorCode } from '../errors.js'
import { bodyKind, parseJsonObject, requireJsonLook } from './body.js'
import type { ControlPolicy, HttpContext } from './context.js'
import { failures } from './schemas/common.js'

export type Guard = (request: FastifyRequest) => Promise<void>

export interface ControlRoute<Body> {
  url: string
  tag: string
  summary: string
  /** The member of every answer that says whether it was done. */
  flag?: string
  /** What the OpenAPI document says of the body. */
  body: TSchema
  /** Checks the body, which is an object. @throws EdgeInferError, whose code is among `failures`. */
  parse(body: unknown): Body
  /** What it answers beside the flag; its description is the answer's. */
  answer: TObject
  failures: readonly ErrorCode[]
  /** What its refusals have beside the flag and the error. */
  refusal?: TProperties
  /** Whether the node's own status is another afterwards. */
  changesNode?: boolean
  /** By default the one of the node's policy. */
  guard?: Guard
  /** Bytes; by default the setting for control routes. */
  bodyLimit?: number
  handle(body: Body, request: FastifyRequest): Promise<object> | object
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the node's own status is another after the route has answered. */
    changesNode?: boolean
  }
}

/** Declares a POST route that takes a small JSON object. */
export function controlRoute<Body>(app: FastifyInstance, context: HttpContext, route: ControlRoute<Body>): void {
  const { url, tag, summary, flag, body, answer, changesNode = false, guard, bodyLimit } = route
  const handler: RouteHandlerMethod = async (request) => {
    const sent = await readJsonObject(request, context, bodyLimit ?? context.settings.controlBodyLimit)
    return { ...(flag && { [flag]: true }), ...await route.handle(route.parse(sent), request) }
  }
  app.post(url, {
    onRequest: guard ?? controlGuard(context.control),
    config: { changesNode, ...(flag && { failure: { flag } }) },
    schema: {
      ...controlSchema(tag, summary),
      body,
      response: {
        200: flag ? { ...answer, ...Type.Object({ [flag]: Type.Literal(true), ...answer.properties }) } : answer,
        ...failures(
          flag ? flaggedFailure(flag, route.refusal) : Type.Ref('Failure'), 'BAD_REQUEST', 'UNAUTHORIZED',
          ...route.failures,
        ),
      },
    },
  }, handler)
}

/** What the OpenAPI document says of every route that a guard protects. */
export function controlSchema(
  tag: string, summary: string,
): { tags: string[]; summary: string; security: Record<string, string[]>[] } {
  return { tags: [tag], summary, security: [{ bearer: [] }] }
}

function flaggedFailure(flag: string, more: TProperties = {}): TSchema {
  return Type.Object({ [flag]: Type.Literal(false), error: Type.Ref('Error'), ...more })
}

async function readJsonObject(request: FastifyRequest, { bodies }: HttpContext, limit: number): Promise<object> {
  const kind = bodyKind(request)
  const body = await bodies.read(request, limit)
  if (kind === 'unnamed') requireJsonLook(body, request)
  return parseJsonObject(body)
}

/** A hook for routes that change the node. @throws EdgeInferError UNAUTHORIZED. */
export function controlGuard({ token, open }: ControlPolicy): Guard {
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
    refuse(
      `Expected a caller on this machine but received one ${forwarded ? 'through a proxy' : `at ${address}`}; ${hint}`,
    )
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
