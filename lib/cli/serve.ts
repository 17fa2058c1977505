/** `edge-infer serve`: worker processes and the documented routes, on this node. */
import { isIP } from 'node:net'
import type { Command } from 'commander'
import type { Logger } from 'pino'
import { EdgeInferError } from '../errors.js'
import { createHttpServer, type HttpServer } from '../http/index.js'
import { createSampler, defaultAdvertiseAddress } from '../node/index.js'
import { startWorkers, type WorkerService } from '../workers/index.js'
import { addServeOptions, resolveServeConfig } from './config.js'
import type { ServeConfig } from './config-options.js'
import { createLog } from './log.js'
import { stopSignals } from './stop-signals.js'
import { renderTable } from './table.js'
import { packageVersion } from './version.js'

const EXIT_INTERRUPTED = 130
const WILDCARDS = ['0.0.0.0', '::']

export function configure(command: Command): void {
  addServeOptions(command)
  command
    .addHelpText('after', '\nPrecedence: arguments, [variables], the --config file. Signals: the first stops in order, the second at once.')
    .action((options: Record<string, unknown>) => serve(resolveServeConfig(options)))
}

async function serve(config: ServeConfig): Promise<void> {
  const signals = stopSignals()
  void signals.second.then(() => process.exit(EXIT_INTERRUPTED))
  const log = createLog(config.log_level)
  if (config.models !== undefined) process.env.EDGE_INFER_MODELS = config.models
  say(`Starting ${Object.entries(config.tasks).map(([task, { workers }]) => `${task}=${workers}`).join(' ')} …`)
  const workers = await startWorkers({
    tasks: config.tasks, device: config.device, threads: config.threads, queueSize: config.queue_size, log,
  })
  using sampler = createSampler()
  try {
    requireSomeTask(workers)
    const server = await createHttpServer({
      workers,
      sampler,
      log,
      version: packageVersion(),
      deviceIp: config.advertise?.ip ?? ownAddress(config.host),
      control: { token: config.token, open: config.open_control },
    })
    const port = await server.listen(config.host, config.port)
    announce(config, workers, urlOf(config.host, port), log)
    log.info({ signal: await signals.first }, 'stopping: finishing what has been accepted')
    await finish(server, workers)
    log.info('stopped')
  } catch (error) {
    await workers.close({ now: true })
    throw error
  }
  log.flush()
}

async function finish(server: HttpServer, workers: WorkerService): Promise<void> {
  await server.drain()
  await workers.close()
}

function requireSomeTask({ tasks, unavailable }: WorkerService): void {
  if (tasks.length > 0) return
  const reasons = [...unavailable].map(([task, why]) => `\n  ${task}: ${why}`).join('')
  throw new EdgeInferError('NO_WORKER', `No task has a worker:${reasons}`)
}

/** A server for this machine alone is reached at the address it listens on. */
function ownAddress(host: string): string {
  return isIP(host) && !WILDCARDS.includes(host) ? host : host === 'localhost' ? '127.0.0.1' : defaultAdvertiseAddress()
}

function announce({ host, token, open_control: open }: ServeConfig, workers: WorkerService, url: string, log: Logger): void {
  const rows = workers.tasks.map((task) => {
    const processes = workers.workers(task)
    const models = [...new Set(processes.map(({ model }) => model))]
    return [task, models.join(', '), String(processes.length), processes.map(({ pid }) => pid).join(' ')]
  })
  say(renderTable(['TASK', 'MODEL', 'WORKERS', 'PIDS'], rows, ['WORKERS']))
  for (const [task, why] of workers.unavailable) {
    say(`${task} is not served: ${why}`)
    log.warn({ task, why }, 'not served')
  }
  if (token === undefined && open) say('Anyone who reaches this server may change its workers (--open-control).')
  say(`Listening on ${url} (routes: ${url}/docs)`)
  log.info({ url, host, tasks: workers.tasks }, 'listening')
}

function urlOf(host: string, port: number): string {
  const name = WILDCARDS.includes(host) ? defaultAdvertiseAddress() : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** For people, apart from the log on standard output. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
