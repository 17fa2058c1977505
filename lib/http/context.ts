import type { Logger } from 'pino'
import type { Sampler } from '../host/index.js'
import type { TaskName } from '../tasks/registry.js'
import type { WorkerService } from '../workers/types.js'
import type { BodyReader } from './body.js'
import type { Metrics } from './metrics.js'
import type { HttpSettings } from './settings.js'
import type { Tracing } from './tracing.js'

/** Who may call the control routes. */
export interface ControlPolicy {
  /** Bearer token; undefined: callers on the loopback interface only. */
  token: string | undefined
  /** Anyone, where there is no token. */
  open: boolean
}

/** What every route has at hand. */
export interface HttpContext {
  workers: WorkerService
  sampler: Pick<Sampler, 'capacity'>
  log: Logger
  /** Of this program. */
  version: string
  /** The IP address that others reach this node at. */
  deviceIp: string
  control: ControlPolicy
  settings: Readonly<HttpSettings>
  bodies: BodyReader
  /** Tasks of which every answer has the picture with its results drawn on it, unless the request says otherwise. */
  rendered: readonly TaskName[]
  /** Tasks that can be asked for: this node's, or its cluster's. */
  services(): readonly string[]
  metrics: Metrics
  /** Undefined where requests are not traced. */
  tracing: Tracing | undefined
  /** Set once, when the server begins to stop. */
  draining: boolean
}
