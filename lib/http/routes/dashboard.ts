/** The page at `/`: what the node, or its cluster, is doing, and a place to try it. Built from lib/dashboard. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EdgeInferError } from '../../errors.js'

const FOLDER = new URL('../../../dashboard/', import.meta.url)

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/dashboard/main.js': ['main.js', 'text/javascript; charset=utf-8'],
  '/dashboard/main.css': ['main.css', 'text/css; charset=utf-8'],
  '/dashboard/licences.txt': ['licences.txt', 'text/plain; charset=utf-8'],
} as const

/** The page of a cloud calls the other nodes, which may join later from anywhere. */
const HEADERS = {
  'content-security-policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self' http: https:",
    "img-src 'self' blob: data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join('; '),
  'permissions-policy': 'camera=(self), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
} as const

export function dashboardRoutes(app: FastifyInstance): void {
  for (const [url, [name, type]] of Object.entries(FILES)) {
    const file = readIfBuilt(name)
    app.get(url, { schema: { hide: true } }, (request, reply) => {
      if (!file) throw new EdgeInferError('NOT_FOUND', 'The dashboard has not been built; run: npm run build:dashboard')
      return send(request, reply.type(type), file)
    })
  }
}

interface BuiltFile {
  content: Buffer
  etag: string
}

function readIfBuilt(name: string): BuiltFile | undefined {
  try {
    const content = readFileSync(new URL(name, FOLDER))
    return { content, etag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"` }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function send(request: FastifyRequest, reply: FastifyReply, { content, etag }: BuiltFile): FastifyReply {
  reply.headers({ ...HEADERS, etag })
  return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(content)
}
