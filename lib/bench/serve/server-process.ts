/** A server in a process of its own, which also watches its event loop. Started by server.ts with an IPC channel. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { pino } from 'pino'
import { createHttpServer } from '../../http/index.js'
import type { TaskName } from '../../tasks/index.js'
import { toEdgeInferError } from '../../native.js'
import { createSampler } from '../../host/index.js'
import { startWorkers } from '../../workers/index.js'

export interface ServerSettings {
  task: TaskName
  model: string | undefined
  device: string | undefined
  workers: number
}

export type ToServer = 'reset' | 'read'

export type FromServer =
  | { type: 'listening'; port: number }
  | { type: 'failed'; code: string; message: string }
  | ({ type: 'figures' } & ServerFigures)

/** Since the last reset. */
export interface ServerFigures {
  /** Longest time that the event loop was late, milliseconds. */
  longestStall: number
  p99Stall: number
  /** CPU time of the server's own process, as a share of one core. */
  cpu: number
  /** CPU time of its workers together, as a share of one core. */
  workersCpu: number
  workerPids: number[]
}

const RESOLUTION = 1

async function serve({ task, model, device, workers: count }: ServerSettings): Promise<void> {
  const log = pino({ level: 'error' }, pino.destination(2))
  const modelContext = model === undefined ? undefined : { weights: model }
  const workers = await startWorkers({ tasks: { [task]: { workers: count, modelContext } }, threads: 1, device, log })
  using sampler = createSampler()
  try {
    const why = workers.unavailable.get(task)
    if (why !== undefined) return send({ type: 'failed', code: 'NO_WORKER', message: why })
    const server = await createHttpServer({ workers, sampler, log, version: 'bench', deviceIp: '127.0.0.1' })
    const port = await server.listen('127.0.0.1', 0)
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
    const workersSeconds = (): number => workers.usage().reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
    let [begin, cpu, seconds] = [performance.now(), process.cpuUsage(), workersSeconds()]
    process.on('message', (message: ToServer) => {
      if (message === 'reset') {
        // Not before: its timer costs the requests something.
        delay.enable()
        delay.reset()
        begin = performance.now()
        cpu = process.cpuUsage()
        seconds = workersSeconds()
      } else {
        const { user, system } = process.cpuUsage(cpu)
        const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION)
        const milliseconds = performance.now() - begin
        send({
          type: 'figures', longestStall: late(delay.max), p99Stall: late(delay.percentile(99)),
          cpu: (user + system) / 1000 / milliseconds,
          workersCpu: (workersSeconds() - seconds) * 1000 / milliseconds,
          workerPids: workers.usage().map(({ pid }) => pid),
        })
      }
    })
    send({ type: 'listening', port })
    await new Promise<void>((resolve) => process.once('disconnect', resolve))
    await server.close()
  } finally {
    await workers.close({ now: true })
  }
}

function send(message: FromServer): void {
  if (process.connected) process.send?.(message)
}

// A terminal's Ctrl-C reaches the bench as well, which ends this process by closing the channel.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})

try {
  await serve(JSON.parse(process.argv[2] as string) as ServerSettings)
} catch (error) {
  const { code, message } = toEdgeInferError(error)
  send({ type: 'failed', code, message })
}
if (process.connected) process.disconnect()
