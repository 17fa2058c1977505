import type { FastifyInstance, HTTPMethods, RouteOptions } from 'fastify'
import { EdgeInferError } from '../errors.js'

const METHODS: readonly HTTPMethods[] = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']

/**
 * Notes the routes that are registered from now on. Call what it returns after the last of them: the methods that a
 * route does not take are answered with METHOD_NOT_ALLOWED and the header Allow. OPTIONS is left to CORS.
 */
export function answerOtherMethods(app: FastifyInstance): () => void {
  const allowed = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    if (url === '*') return
    const methods = allowed.get(url) ?? new Set()
    for (const name of [method].flat()) methods.add(name)
    allowed.set(url, methods)
  })
  return () => {
    for (const [url, methods] of [...allowed]) {
      const allow = [...methods, 'OPTIONS'].join(', ')
      app.route({
        url,
        method: METHODS.filter((method) => !methods.has(method)),
        schema: { hide: true },
        exposeHeadRoute: false,
        handler: (request, reply) => {
          reply.header('allow', allow)
          throw new EdgeInferError('METHOD_NOT_ALLOWED', `Expected ${allow} but received ${request.method}`)
        },
      })
    }
  }
}
