/** The documented interface over HTTP. */
export type { ControlPolicy, HttpContext } from './context.js'
export { clusterRoutes, type ClusterRoutesOptions } from './routes/cluster.js'
export { eventsRoutes } from './routes/events.js'
export type { Routes } from './routes/index.js'
export { createHttpServer, type HttpServer, type HttpServerOptions } from './server.js'
export { openTracing, type Tracing } from './tracing.js'
export type { HttpSettings } from './settings.js'
