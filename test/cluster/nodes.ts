/** Real nodes: processes of `edge-infer serve`, each on a loopback address of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import type { NodeView, ServiceState } from '../../lib/cluster/index.js'
import type { ClusterInfo, SystemStatus } from '../../lib/client/index.js'
import { spawnCli } from '../cli/run.js'

export const HEARTBEAT_MS = 300

type Child = ReturnType<typeof spawnCli>

export class NodeProcess {
  readonly url: string
  readonly args: readonly string[]
  #child: Child
  #said = ''

  private constructor(url: string, args: readonly string[]) {
    this.url = url
    this.args = args
    this.#child = this.#spawn()
  }

  /** Serves face_detection with one worker. */
  static async start(t: Test, ip: string, port: number, ...args: string[]): Promise<NodeProcess> {
    const scheme = args.includes('--tls-cert') ? 'https' : 'http'
    const node = new NodeProcess(`${scheme}://${ip}:${port}`, ['--host', ip, '--port', String(port), ...args])
    t.teardown(() => node.end('SIGTERM'))
    await node.listening()
    return node
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Everything on its standard error. */
  get said(): string {
    return this.#said
  }

  /** @throws when it ends instead. */
  async listening(): Promise<void> {
    const end = Date.now() + 120_000
    while (!this.#said.includes('Listening on')) {
      if (this.#child.exitCode !== null) throw new Error(`${this.url} ended: ${this.#said}`)
      if (Date.now() > end) throw new Error(`${this.url} does not listen: ${this.#said}`)
      await wait(50)
    }
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name)
  }

  /** @returns the exit code, null after a signal */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const ended = once(this.#child, 'exit')
    this.signal(signal)
    if (signal === 'SIGTERM') this.signal('SIGCONT')
    await ended
    return this.#child.exitCode
  }

  /** A new process in the place of one that has ended. */
  async restart(): Promise<void> {
    this.#said = ''
    this.#child = this.#spawn()
    await this.listening()
  }

  #spawn(): Child {
    const child = spawnCli([
      'serve', '--task', 'face_detection=1', '--threads', '1', '--log-level', 'warn', ...this.args,
    ])
    child.stderr.on('data', (chunk: Buffer) => (this.#said += chunk.toString()))
    child.stdout.resume()
    return child
  }
}

/** A host of `cloud`. */
export function startHost(
  t: Test, cloud: NodeProcess | string, ip: string, port: number, ...args: string[]
): Promise<NodeProcess> {
  const url = typeof cloud === 'string' ? cloud : cloud.url
  return NodeProcess.start(
    t, ip, port, '--role', 'host', '--cloud', url, '--heartbeat-interval', String(HEARTBEAT_MS), ...args,
  )
}

/** A program of the fixtures; resolves to its first line when it has printed that. */
export async function startPython(
  t: Test, script: string, ...args: string[]
): Promise<{ line: string; end: () => Promise<void> }> {
  const path = new URL(`../../../test/fixtures/${script}`, import.meta.url).pathname
  const child = spawn('python3', ['-u', path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  t.teardown(end)
  const [line] = await once(child.stdout, 'data') as [Buffer]
  return { line: line.toString().trim(), end }
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

export async function getJson<T>(url: string): Promise<T> {
  return await (await fetch(url)).json() as T
}

/** Asks until the answer satisfies; fails the test when it never does. */
export async function eventually<T>(
  t: Test, what: string, ask: () => Promise<T>, satisfied: (answer: T) => boolean,
): Promise<T> {
  const end = Date.now() + 90_000
  for (;;) {
    const answer = await ask()
    if (satisfied(answer)) {
      t.pass(what)
      return answer
    }
    if (Date.now() > end) {
      t.fail(what, { answer })
      return answer
    }
    await wait(50)
  }
}

type Services = Record<string, Required<ServiceState>>
export type Info = { [Key in keyof ClusterInfo]: ClusterInfo[Key] & { service_state: Services } }

export const clusterInfo = (node: { url: string }): Promise<Info> => getJson(`${node.url}/get_cluster_info`)
export const systemStatus = (node: { url: string }): Promise<SystemStatus> => getJson(`${node.url}/get_system_status`)
export const nodesOf = async (node: { url: string }): Promise<NodeView[]> =>
  (await getJson<{ nodes: NodeView[] }>(`${node.url}/nodes`)).nodes
export const urlsOf = (node: { url: string }, task = 'face_detection'): Promise<Record<string, { url: string }>> =>
  getJson(`${node.url}/get_execute_url/${task}`)

/** Waits until exactly these are in the cluster. */
export async function members(t: Test, what: string, cloud: { url: string }, ...keys: string[]): Promise<Info> {
  const wanted = [...keys].sort().join()
  return eventually(t, what, () => clusterInfo(cloud), (info) => Object.keys(info).sort().join() === wanted)
}
