/** Every group of routes; a new one is a file beside this one and a line here. */
import type { FastifyInstance } from 'fastify'
import type { HttpContext } from '../context.js'
import { dashboardRoutes } from './dashboard.js'
import { executeRoutes } from './execute.js'
import { healthRoutes } from './health.js'
import { inferenceProtocolRoutes } from './inference-protocol.js'
import { limitsRoutes } from './limits.js'
import { metricsRoutes } from './metrics.js'
import { workersRoutes } from './workers.js'

export type Routes = (app: FastifyInstance, context: HttpContext) => void

export const ROUTES: readonly Routes[] = [
  executeRoutes, workersRoutes, limitsRoutes, healthRoutes, metricsRoutes, inferenceProtocolRoutes,
  dashboardRoutes,
]
