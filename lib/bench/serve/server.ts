/** The server that a bench starts for itself. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { EdgeInferError, isErrorCode } from '../../errors.js'
import type { FromServer, ServerFigures, ServerSettings, ToServer } from './server-process.js'

const SCRIPT = fileURLToPath(new URL('server-process.js', import.meta.url))

export class BenchServer {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.url = `http://127.0.0.1:${port}`
  }

  /** @throws EdgeInferError NO_WORKER, MODEL_*, INTERNAL when it ended. */
  static async start(settings: ServerSettings, signal: AbortSignal | undefined): Promise<BenchServer> {
    if (signal?.aborted) throw new EdgeInferError('ABORTED', 'The bench was interrupted')
    const child = fork(SCRIPT, [JSON.stringify(settings)], { stdio: ['ignore', 2, 2, 'ipc'] })
    const message = await next(child)
    if (message.type === 'listening') return new BenchServer(child, message.port)
    if (message.type === 'figures') throw new EdgeInferError('INTERNAL', 'The server answered before it was asked')
    throw new EdgeInferError(isErrorCode(message.code) ? message.code : 'INTERNAL', message.message)
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Figures are counted from here. */
  reset(): void {
    this.#tell('reset')
  }

  async figures(): Promise<ServerFigures> {
    const answer = next(this.#child)
    this.#tell('read')
    const message = await answer
    if (message.type === 'figures') return message
    throw new EdgeInferError('INTERNAL', `Expected the server's figures but received ${message.type}`)
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    if (this.#child.connected) this.#child.disconnect()
    await ended
  }

  #tell(message: ToServer): void {
    this.#child.send(message)
  }
}

function next(child: ChildProcess): Promise<FromServer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      child.off('message', onMessage)
      reject(new EdgeInferError('INTERNAL', `The bench's server ended (${signal ?? `exit code ${code}`})`))
    }
    const onMessage = (message: unknown): void => {
      child.off('exit', onExit)
      resolve(message as FromServer)
    }
    child.once('exit', onExit)
    child.once('message', onMessage)
  })
}
