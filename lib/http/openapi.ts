/** The OpenAPI document at `/openapi.json` and a page to read and try it at `/docs`. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { JSON_TYPE } from './reply.js'
import { SHARED_SCHEMAS } from './schemas/common.js'

const DESCRIPTION = `Faces, head poses, vehicles and helmets in pictures, by worker processes that can be added, removed
and limited while they work. Every answer is JSON; a refusal carries \`error\` with a stable code.`

/** For a server without TLS: browsers are not told to ask for the page's parts over https. */
const CONTENT_SECURITY_POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'self'"

/** Covers the routes that are registered afterwards. */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'edge-infer', version, description: DESCRIPTION },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
    },
    refResolver: { buildLocalReference: (json, _baseUri, _fragment, index) => String(json.$id ?? `schema${index}`) },
  })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: CONTENT_SECURITY_POLICY })
  let document = ''
  app.addHook('onReady', async () => {
    document = JSON.stringify(app.swagger())
  })
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => reply.type(JSON_TYPE).send(document))
}
