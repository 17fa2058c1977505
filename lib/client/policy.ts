/** The order in which the nodes that can run a task are tried. */
import type { ClusterNode } from './cluster-node.js'

export const POLICIES = ['least-loaded', 'nearest', 'round-robin'] as const
export type Policy = (typeof POLICIES)[number]

/** Below this free share of its memory a node counts as fully loaded. */
const SCARCE_MEMORY = 0.05

/** Smaller is better. */
const SCORES: Readonly<Record<Policy, (node: ClusterNode) => number>> = {
  'least-loaded': expectedLoad,
  nearest: ({ roundTripMs }) => roundTripMs ?? Number.MAX_VALUE,
  'round-robin': () => 0,
}

/** Busy share of the CPU, and the cores that this client's own calls will take: the cloud does not report them yet. */
function expectedLoad({ load: { cpu, mem, cores }, inFlight }: ClusterNode): number {
  return 1 - cpu + (inFlight + 1) / cores + (mem < SCARCE_MEMORY ? 1 : 0)
}

/** Ranks nodes best first; those of equal score take turns, those that failed lately come last. */
export class Ranking {
  readonly #score: (node: ClusterNode) => number
  readonly #turns = new Map<string, number>()

  constructor(policy: Policy) {
    this.#score = SCORES[policy]
  }

  rank(task: string, nodes: readonly ClusterNode[]): ClusterNode[] {
    const turn = this.#turns.get(task) ?? 0
    this.#turns.set(task, turn + 1)
    const first = nodes.length === 0 ? 0 : turn % nodes.length
    return [...nodes.slice(first), ...nodes.slice(0, first)]
      .map((node) => ({ node, penalised: Number(node.penalised), score: this.#score(node) }))
      .sort((a, b) => a.penalised - b.penalised || a.score - b.score)
      .map(({ node }) => node)
  }
}
