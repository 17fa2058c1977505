/** Section 2 of the interface document: which tasks can be asked for. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { HttpContext } from '../context.js'
import { TaskNameSchema } from '../schemas/common.js'

export function servicesRoutes(app: FastifyInstance, { services }: HttpContext): void {
  app.get('/get_service_list', {
    schema: {
      tags: ['2. Services'],
      summary: 'Tasks with a live worker; of a cloud: anywhere in its cluster',
      response: { 200: Type.Array(TaskNameSchema, { description: 'Names of the tasks' }) },
    },
  }, () => services())
}
