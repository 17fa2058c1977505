/** `edge-infer serve`: worker processes and the documented routes, on this node. */
import type { Command } from 'commander'
import type { Logger } from 'pino'
import { Cluster } from '../cluster/index.js'
import { EdgeInferError } from '../errors.js'
import { clusterRoutes, createHttpServer, eventsRoutes, openTracing, type HttpServer } from '../http/index.js'
import { createSampler, defaultAdvertiseAddress } from '../host/index.js'
import { native } from '../native.js'
import { startWorkers, type WorkerService } from '../workers/index.js'
import { addServeOptions, resolveServeConfig } from './config.js'
import type { ServeConfig } from './config-options.js'
import { createLog, endWithoutReaders, lostLines, tell } from './log.js'
import { outliveReader } from './output.js'
import { resolvePlace } from './serve-node.js'
import { stopSignals } from './signals.js'
import { renderTable } from './table.js'
import { packageVersion } from './program.js'

const EXIT_INTERRUPTED = 130
const WILDCARDS = ['0.0.0.0', '::']

export function configure(command: Command): void {
  addServeOptions(command)
  command
    .addHelpText('after',
      '\nPrecedence: arguments, [variables], the --config file. Signals: the first stops in order, the second at once.')
    .action((options: Record<string, unknown>) => serve(resolveServeConfig(options)).finally(endWithoutReaders))
}

async function serve(config: ServeConfig): Promise<void> {
  outliveReader()
  const signals = stopSignals()
  const stop = new AbortController()
  void signals.first.then(() => stop.abort())
  void signals.second.then(() => process.exit(EXIT_INTERRUPTED))
  const { ip, scheme, tls, host } = await resolvePlace(config)
  const log = createLog(config.log_level)
  const tracing = config.trace ? await openTracing(packageVersion(), log) : undefined
  native.mapLargeBlocks()
  if (config.models !== undefined) process.env.EDGE_INFER_MODELS = config.models
  tell(`Starting ${Object.entries(config.tasks).map(([task, { workers }]) => `${task}=${workers}`).join(' ')} …`)
  const workers = await startWorkers({
    tasks: config.tasks, device: config.device, threads: config.threads, queueSize: config.queue_size, log,
    background: true, signal: stop.signal,
  }).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })
  if (!workers) return log.info('stopped while it started')
  using sampler = createSampler()
  const cluster = new Cluster({
    workers, sampler, log, ip, scheme, host, edgePort: config.edge_port, edgePollIntervalMs: config.edge_poll_interval,
  })
  let server: HttpServer | undefined
  try {
    requireHope(workers, config)
    server = await createHttpServer({
      workers,
      sampler,
      log,
      version: packageVersion(),
      deviceIp: ip,
      rendered: config.render,
      control: { token: config.token, open: config.open_control },
      services: () => cluster.registry.services(),
      nodes: () => cluster.registry.nodeSummaries(),
      tls,
      tracing,
      lostLines,
      routes: [clusterRoutes(cluster, { openRegistration: config.open_registration }), eventsRoutes(cluster)],
    })
    const port = await server.listen(config.host, config.port)
    cluster.start(config.advertise?.port ?? port)
    announce(config, workers, `${scheme}://${authority(config.host, port)}`, log)
    await Promise.race([signals.first, workers.tried])
    if (!stop.signal.aborted) requireHope(workers, config)
    log.info({ signal: await signals.first }, 'stopping: finishing what has been accepted')
    await finish(cluster, server, workers)
    await tracing?.close()
    log.info('stopped')
  } catch (error) {
    await cluster.stop()
    await server?.close()
    await workers.close({ now: true })
    throw error
  }
}

/** Nobody is sent here any more before the door is closed. */
async function finish(cluster: Cluster, server: HttpServer, workers: WorkerService): Promise<void> {
  await cluster.stop()
  await server.drain()
  await workers.close()
}

/** @throws EdgeInferError NO_WORKER where none of the tasks has a worker, or one on its way. */
function requireHope({ tasks, missing }: WorkerService, config: ServeConfig): void {
  const failed = [...missing].filter(([, { state }]) => state === 'failed')
  if (tasks.length > 0 || failed.length < Object.keys(config.tasks).length) return
  const reasons = failed.map(([task, { why }]) => `\n  ${task}: ${why}`).join('')
  throw new EdgeInferError('NO_WORKER', `No task has a worker:${reasons}`)
}

function announce(
  { host, token, open_control: open }: ServeConfig, workers: WorkerService, url: string, log: Logger,
): void {
  const rows = workers.tasks.map((task) => {
    const processes = workers.workers(task)
    const models = [...new Set(processes.map(({ model }) => model))]
    return [task, models.join(', '), String(processes.length), processes.map(({ pid }) => pid).join(' ')]
  })
  if (rows.length > 0) tell(renderTable(['TASK', 'MODEL', 'WORKERS', 'PIDS'], rows, ['WORKERS']))
  for (const [task, { state, why }] of workers.missing) {
    tell(`${task} is not served${state === 'failed' ? '' : ' yet'}: ${why}`)
  }
  if (token === undefined && open) tell('Anyone who reaches this server may change its workers (--open-control).')
  tell(`Listening on ${url} (dashboard: ${url}/, routes: ${url}/docs)`)
  log.info({ url, host, tasks: workers.tasks }, 'listening')
}

function authority(host: string, port: number): string {
  const name = WILDCARDS.includes(host) ? defaultAdvertiseAddress() : host
  return `${name.includes(':') ? `[${name}]` : name}:${port}`
}
