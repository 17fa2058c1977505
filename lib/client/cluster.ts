/** Runs tasks on the best node of a cluster, and on the next one when that fails. */
import { EdgeInferError, type ErrorCode } from '../errors.js'
import type { ClusterNode } from './cluster-node.js'
import type { Deadline } from './deadline.js'
import { ServiceDiscovery } from './service-discovery.js'
import { checkOptions, checkTimeout, integerIn, MAX_TIMEOUT_MS, oneOf, type ClientOptions } from './options.js'
import { POLICIES, Ranking, type Policy } from './policy.js'
import { TaskClient, type CallOptions, type TaskReply } from './task-client.js'
import { retryDelay, type WireRequest } from './transport.js'
import type { TaskName } from './types.js'

export interface ClusterOptions extends ClientOptions {
  /**
   * - `least-loaded` (default): least busy CPU, this client's own calls counted in; short of memory counts as busy;
   * - `nearest`: shortest round trip of a small request, measured with every list and averaged;
   * - `round-robin`: in turn.
   */
  policy?: Policy | undefined
  /** Milliseconds a list of nodes is used before it is asked for again, in the background. Default 2000. */
  refreshMs?: number | undefined
  /** Milliseconds for which a node that failed is a last resort. Default 5000. */
  penaltyMs?: number | undefined
  /** Milliseconds one node may take before the next is tried. Default: a third of the call's `timeoutMs`. */
  attemptTimeoutMs?: number | undefined
}

/** A node in the list of {@link ClusterClient.nodes}. */
export interface KnownNode {
  url: string
  /** Free shares of CPU and memory, [0, 1], and cores, as the cloud last reported. */
  cpu: number
  mem: number
  cores: number
  /** Calls of this client under way. */
  inFlight: number
  /** Milliseconds; only measured by the policy `nearest`. */
  roundTripMs: number | undefined
  /** Whether it failed lately and is a last resort. */
  penalised: boolean
}

/** One node's failure, in the `attempts` of the error's `details`. */
export interface FailedAttempt {
  url: string
  code: ErrorCode
  message: string
}

/** Failures of one node that another may not have. Workers die for want of memory, too, which another may have. */
const RETRIED_ELSEWHERE = new Set<ErrorCode>([
  'NODE_UNREACHABLE', 'TIMEOUT', 'BAD_REPLY', 'QUEUE_FULL', 'NO_WORKER', 'STARTING', 'WORKER_DIED', 'UNKNOWN_TASK',
  'NOT_FOUND', 'CLOSED',
])

/** Those after which the node is a last resort for a while. */
const NODE_FAULTS = new Set<ErrorCode>(['NODE_UNREACHABLE', 'TIMEOUT', 'BAD_REPLY', 'CLOSED'])

/**
 * Runs the tasks of a cluster. Each call goes to the node the policy ranks first; when that cannot be reached, does not
 * answer in `attemptTimeoutMs`, or has no free worker, to the next. When all have failed and one of them may have
 * recovered (unreachable, or its queue full), they are tried again, up to `retries` times within the call's time. The
 * last error is thrown, with every node's failure in its `details.attempts`.
 *
 * The token, if any, is sent to the cloud only: tasks need none, and the list of nodes comes from the cloud.
 */
export class ClusterClient extends TaskClient {
  readonly #discovery: ServiceDiscovery
  readonly #ranking: Ranking
  readonly #penaltyMs: number
  readonly #attemptTimeoutMs: number | undefined

  /** @throws EdgeInferError BAD_OPTION. */
  constructor(url: string | URL, options: ClusterOptions = {}) {
    const settings = checkOptions(options)
    super(settings)
    const policy = oneOf('policy', options.policy, POLICIES) ?? 'least-loaded'
    this.#penaltyMs = integerIn('penaltyMs', options.penaltyMs, 0, MAX_TIMEOUT_MS) ?? 5000
    this.#attemptTimeoutMs = checkTimeout('attemptTimeoutMs', options.attemptTimeoutMs)
    this.#ranking = new Ranking(policy)
    this.#discovery = new ServiceDiscovery(url, {
      ...settings,
      refreshMs: checkTimeout('refreshMs', options.refreshMs) ?? 2000,
      penaltyMs: this.#penaltyMs,
      probe: policy === 'nearest',
    })
  }

  /**
   * The nodes that can run the task, as known now.
   * @throws EdgeInferError UNKNOWN_TASK, NODE_UNREACHABLE (the cloud).
   */
  async nodes(task: TaskName, options?: CallOptions): Promise<KnownNode[]> {
    const nodes = await this.run(options, (deadline) => this.#discovery.nodes(task, deadline))
    return nodes.map(({ transport, load, inFlight, roundTripMs, penalised }) =>
      ({ url: transport.url, ...load, inFlight, roundTripMs, penalised }))
  }

  protected override attemptTimeoutMs(timeoutMs: number): number {
    return this.#attemptTimeoutMs ?? Math.ceil(timeoutMs / 3)
  }

  protected override async send(task: TaskName, request: WireRequest, deadline: Deadline): Promise<TaskReply> {
    const attempts: FailedAttempt[] = []
    const attemptTimeoutMs = this.attemptTimeoutMs(deadline.remainingMs)
    for (let round = 0; ; round++) {
      const nodes = this.#ranking.rank(task, await this.#discovery.nodes(task, deadline))
      let failure = new EdgeInferError('NO_WORKER', `No node of ${this.#discovery.cloudUrl} has a worker for ${task}`)
      let delay: number | undefined
      for (const node of nodes) {
        try {
          return await this.#attempt(node, request, deadline, attemptTimeoutMs)
        } catch (error) {
          if (!(error instanceof EdgeInferError) || !RETRIED_ELSEWHERE.has(error.code)) throw error
          failure = error
          this.#discovery.expire(task)
          attempts.push({ url: node.transport.url, code: error.code, message: error.message })
          if (deadline.passed) throw withAttempts(failure, attempts)
          const wait = retryDelay(error, round)
          if (wait !== undefined) delay = Math.min(delay ?? wait, wait)
        }
      }
      if (delay === undefined || round >= this.settings.retries || delay >= deadline.remainingMs) {
        throw withAttempts(failure, attempts)
      }
      await deadline.sleep(delay)
    }
  }

  protected override disconnect(): Promise<void> {
    return this.#discovery.close()
  }

  async #attempt(
    node: ClusterNode, request: WireRequest, deadline: Deadline, timeoutMs: number,
  ): Promise<TaskReply> {
    const attempt = deadline.within(timeoutMs)
    try {
      return { ...await node.send(request, attempt), hostname: node.transport.hostname }
    } catch (error) {
      const isFault = error instanceof EdgeInferError && NODE_FAULTS.has(error.code)
      if (isFault && !deadline.passed) node.penalise(this.#penaltyMs)
      throw error
    } finally {
      attempt.release()
    }
  }
}

function withAttempts(error: EdgeInferError, attempts: readonly FailedAttempt[]): EdgeInferError {
  return new EdgeInferError(error.code, error.message, { cause: error, details: { ...error.details, attempts } })
}
