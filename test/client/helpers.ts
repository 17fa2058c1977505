/** Small HTTP servers that answer in the documented shapes. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Received {
  method: string
  url: URL
  headers: IncomingMessage['headers']
  body: Buffer
}

export type Respond = (request: Received, response: ServerResponse) => void | Promise<void>

/** A node of the tests' own. Every request is kept; each is answered by `respond`, which may be changed. */
export class TestNode {
  readonly received: Received[] = []
  connections = 0
  respond: Respond
  readonly #server: Server
  #address: AddressInfo | undefined

  constructor(respond: Respond) {
    this.respond = respond
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const { method = '', headers } = request
      const url = new URL(request.url ?? '', this.url)
      const received = { method, url, headers, body: Buffer.concat(chunks) }
      this.received.push(received)
      await this.respond(received, response)
    })
    this.#server.on('connection', () => this.connections++)
  }

  static async start(t: Test, respond: Respond, host = '127.0.0.1'): Promise<TestNode> {
    const node = new TestNode(respond)
    await node.listen(host)
    t.teardown(() => node.stop())
    return node
  }

  async listen(host: string, port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    })
    this.#address = this.#server.address() as AddressInfo
  }

  /** Refuses connections from now on and breaks those there are. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }

  async restart(): Promise<void> {
    const { address, port } = this.#address as AddressInfo
    await this.listen(address, port)
  }

  get key(): string {
    const { address, port } = this.#address as AddressInfo
    return `${address}:${port}`
  }

  get url(): string {
    return `http://${this.key}`
  }

  /** Paths of the requests so far. */
  get paths(): string[] {
    return this.received.map(({ url }) => url.pathname)
  }
}

export function json(
  response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

export function refuse(
  response: ServerResponse, status: number, code: string, message = 'no', headers: Record<string, string> = {},
): void {
  json(response, { execute_flag: false, error: { code, message }, proc_resource_info: { pid: 7 } }, status, headers)
}

/** What a node says of a task that took its worker 20 ms. */
const PROC_RESOURCE_INFO = {
  cpu_util_limit: 1,
  cpu_util_use: 0.25,
  mem_util_limit: 1,
  mem_util_use: 0.02,
  compute_latency: 0.02,
  latency: 0.02,
  pid: 4711,
  all_latency: 0.021,
  device_ip: '127.0.0.9',
}

export const answer = (members: object): object => ({
  execute_flag: true,
  ...members,
  proc_resource_info: PROC_RESOURCE_INFO,
  task_conf: { fps: null, resolution: { w: 8, h: 6 } },
})

/** A JPEG as far as its first bytes tell. */
export const JPEG = Buffer.from([0xff, 0xd8, 0xff, 0xe0, ...Array.from({ length: 256 }, (_, byte) => byte)])

export const codeOf = async (call: Promise<unknown>): Promise<string | undefined> =>
  call.then(() => undefined, (error: { code: string }) => error.code)
