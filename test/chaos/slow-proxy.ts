/** A slow and unreliable network: a relay on loopback that delays what it passes on, and can hold everything back. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

export class SlowProxy {
  /** Milliseconds each piece is delayed by, in each direction. */
  delayMs = 0
  #held: Promise<void> | undefined
  #release: () => void = () => {}
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(ip: string, port: number): Promise<SlowProxy> {
    const server = createServer({ allowHalfOpen: true })
    const proxy = new SlowProxy(server)
    server.on('connection', (caller) => proxy.#relay(caller, connect({ host: ip, port, allowHalfOpen: true })))
    server.listen(0, ip)
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** Nothing passes any more, as if the cable were out, until `resume`. */
  hold(): void {
    this.#held ??= new Promise((resolve) => { this.#release = resolve })
  }

  resume(): void {
    this.#release()
    this.#held = undefined
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    this.resume()
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #relay(caller: Socket, node: Socket): void {
    for (const [from, to] of [[caller, node], [node, caller]] as const) {
      this.#sockets.add(from)
      from.on('error', () => to.resetAndDestroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        if (!from.readableEnded) to.destroy()
      })
      from.pipe(this.#delay()).pipe(to)
    }
  }

  #delay(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        void (async () => {
          if (this.delayMs > 0) await sleep(this.delayMs * (0.5 + Math.random()))
          await this.#held
          done(null, chunk)
        })()
      },
    })
  }
}
