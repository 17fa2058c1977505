/** Callers that behave: each sends one request after the other and checks every answer. */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterClient } from '../../lib/client/index.js'
import { EdgeInferClient, type TaskClient } from '../../lib/client/index.js'
import { EdgeInferError } from '../../lib/errors.js'
import { pictures, type Known } from './known.js'
import { AWAY, LOST, REFUSED, type Ledger } from './ledger.js'
import type { ChaosNode } from './node-process.js'
import { codesOf, NoAnswer, post } from './post.js'
import { difference, lasting } from './same.js'

/** Every so many requests go the slow way. */
const SLOW_SHARE = 0.12
/** Every so many are the pipeline by a client of the library. */
const CLIENT_SHARE = 0.2
const CLIENT_TIMEOUT_MS = 120_000

export interface LoadOptions {
  nodes: readonly ChaosNode[]
  cloud: ChaosNode
  known: readonly Known[]
  ledger: Ledger
}

/** The answers of the pipeline for each picture. */
export type Pipeline = Map<Buffer, { found: Record<string, unknown>; poses: Record<string, unknown> }>

export class Load {
  readonly #options: LoadOptions
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #deck: readonly Known[]
  readonly #cluster: ClusterClient
  readonly #clients: Map<ChaosNode, EdgeInferClient>
  readonly #pipeline: Pipeline = new Map()

  constructor(options: LoadOptions) {
    const { nodes, cloud, known } = options
    this.#options = options
    this.#deck = known.flatMap((one) => Array.from({ length: one.weight }, () => one))
    this.#cluster = EdgeInferClient.cluster(cloud.url, { timeoutMs: CLIENT_TIMEOUT_MS, retries: 4 })
    this.#clients = new Map(nodes.map((node) =>
      [node, new EdgeInferClient(node.url, { timeoutMs: CLIENT_TIMEOUT_MS })]))
  }

  /** Learns the answers that the library does not tell, while nothing is disturbed. */
  async learn(): Promise<void> {
    for (const known of this.#options.known) {
      if (known.expected) continue
      const [node] = this.#options.nodes.filter(({ tasks }) => tasks.includes(known.task)) as [ChaosNode]
      const { status, body } = await post(this.#agent, node.url, known.path, known.headers, known.body)
      if (status !== known.status) {
        throw new Error(`${known.path} answers ${status} undisturbed: ${JSON.stringify(body).slice(0, 300)}`)
      }
      known.expected = lasting(body)
    }
    for (const picture of Object.values(pictures)) {
      const found = await this.#cluster.executeTask('face_detection', { image: picture })
      const poses = await this.#cluster.executeTask('face_alignment', found)
      this.#pipeline.set(picture, { found: lasting({ ...found }), poses: lasting({ ...poses }) })
    }
  }

  /** One caller, until `isOver`. */
  async run(random: () => number, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (random() < CLIENT_SHARE) await this.#callPipeline(random)
      else await this.#postOne(random)
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    await this.#cluster.close()
    for (const client of this.#clients.values()) await client.close()
  }

  async #postOne(random: () => number): Promise<void> {
    const { nodes, ledger } = this.#options
    const known = pick(random, this.#deck)
    const node = pick(random, nodes.filter(({ tasks }) => tasks.includes(known.task)))
    const isSlow = random() < SLOW_SHARE
    const since = performance.now()
    const begun = `${node.name} ${known.path}`
    try {
      const answer = await post(this.#agent, isSlow ? node.slowUrl : node.url, known.path, known.headers, known.body)
      if (answer.status === known.status) {
        const what = difference(answer.body, known.expected)
        if (what === undefined) ledger.right(known.kind)
        else ledger.wrong(known.kind, `${begun}: ${what}`)
        return
      }
      if (answer.status < 400) return ledger.wrong(known.kind, `${begun}: status ${answer.status}`)
      const codes = codesOf(answer)
      const explained = codes.find((code) => isExplained(ledger, node, code, since, isSlow))
      ledger.failed(known.kind, explained ?? codes[0] ?? `status ${answer.status}`, explained !== undefined,
        `${begun} after ${seconds(since)}: ${JSON.stringify(answer.body).slice(0, 400)}`)
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      ledger.failed(known.kind, error.code, isExplained(ledger, node, error.code, since, isSlow),
        `${begun}${isSlow ? ' (slow way)' : ''} after ${seconds(since)}: ${error.message}`)
      await sleep(300)
    }
  }

  /** Detection, and its whole answer to the head poses: by a node's client, or by the cluster's. */
  async #callPipeline(random: () => number): Promise<void> {
    const { nodes, ledger } = this.#options
    const able = nodes.filter(({ tasks }) => tasks.includes('face_detection') && tasks.includes('face_alignment'))
    const node = random() < 0.5 ? pick(random, able) : undefined
    const client: TaskClient = (node && this.#clients.get(node)) ?? this.#cluster
    const kind = `pipeline by ${node ? 'EdgeInferClient' : 'ClusterClient'}`
    const [picture, expected] = pick(random, [...this.#pipeline])
    const since = performance.now()
    let task = 'face_detection'
    try {
      const found = await client.executeTask('face_detection', { image: picture })
      task = 'face_alignment'
      const poses = await client.executeTask('face_alignment', found)
      const what = difference(found, expected.found, 'found') ?? difference(poses, expected.poses, 'poses')
      if (what === undefined) ledger.right(kind)
      else ledger.wrong(kind, what)
    } catch (error) {
      if (!(error instanceof EdgeInferError)) throw error
      const refused = error.details?.['reason'] === 'ECONNREFUSED' ? REFUSED : LOST
      const code = error.code === 'NODE_UNREACHABLE' ? refused : error.code
      const explained = node ? isExplained(ledger, node, code, since, false) : this.#clusterExplains(task, since)
      ledger.failed(kind, code, explained,
        `${task} after ${seconds(since)}: ${error.message} ${JSON.stringify(error.details?.['attempts'] ?? '')}`)
    }
  }

  /** A cluster fails a call only where every node that has the task is away. The hosts reach the cloud the slow way. */
  #clusterExplains(task: string, since: number): boolean {
    const { nodes, cloud, ledger } = this.#options
    return nodes.filter(({ tasks }) => tasks.includes(task)).every((node) =>
      ledger.explains(node.name, AWAY, since) ||
      (node !== cloud && ledger.explains(`way to ${cloud.name}`, AWAY, since)))
  }
}

/** What is lost or late on the slow way is the way's fault. */
function isExplained(ledger: Ledger, node: ChaosNode, code: string, since: number, isSlow: boolean): boolean {
  return ledger.explains(node.name, code, since) || (isSlow && ledger.explains(`way to ${node.name}`, code, since))
}

export function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
