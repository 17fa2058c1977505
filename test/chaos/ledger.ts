/** What came of every request, and what disturbed which node when: an error must be one that a disturbance explains. */

/** The code of a request that found nobody listening. */
export const REFUSED = 'REFUSED'
/** The code of a request that got no answer: the connection broke. */
export const LOST = 'LOST'
/** The code of a request that met, on a connection of an earlier one, a server that was just closing it as idle. */
export const RACED = 'RACED'
/** The code of a request that nothing was heard of for so long that nobody would wait any more. */
export const SILENT = 'SILENT'
/** The code of a node that a cluster's client cannot be sent to: it does not answer, or its cloud does not list it. */
export const AWAY = 'AWAY'
/** The code of a node that may have fewer workers than it should: control requests then differ in what they meet. */
export const FEWER = 'FEWER'

interface Disturbance {
  node: string
  name: string
  codes: readonly string[]
  /** Of performance.now(). */
  since: number
  until: number
}

export interface Row {
  requests: number
  right: number
  wrong: number
  /** Errors that a disturbance explains, by their codes. */
  refused: Map<string, number>
  lost: number
  unexplained: number
}

const MAX_FAULTS = 50

export class Ledger {
  readonly rows = new Map<string, Row>()
  readonly disturbances = new Map<string, number>()
  /** What must not happen, in words; the first of them. */
  readonly faults: string[] = []
  faultCount = 0
  #open: Disturbance[] = []
  readonly #say: (line: string) => void

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /** Errors of these codes of that node are explained until what it returns is called: when the node is well again. */
  disturb(node: string, name: string, codes: readonly string[]): () => void {
    this.disturbances.set(name, (this.disturbances.get(name) ?? 0) + 1)
    return this.explainAlso(node, name, codes)
  }

  /** As {@link disturb}, of something that is counted already. */
  explainAlso(node: string, name: string, codes: readonly string[]): () => void {
    const now = performance.now()
    const disturbance: Disturbance = { node, name, codes, since: now, until: Infinity }
    this.#open = [...this.#open.filter(({ until }) => until > now - 600_000), disturbance]
    return () => { disturbance.until = performance.now() }
  }

  /** Whether something explains that code of the node for a request that was begun at `since`. */
  explains(node: string, code: string, since: number): boolean {
    return this.#open.some((one) => one.node === node && one.until >= since && one.codes.includes(code))
  }

  right(kind: string): void {
    const row = this.#row(kind)
    row.requests += 1
    row.right += 1
  }

  wrong(kind: string, what: string): void {
    const row = this.#row(kind)
    row.requests += 1
    row.wrong += 1
    this.fault(`wrong: ${kind}: ${what}`)
  }

  /** An error. `isExplained`: by a disturbance. */
  failed(kind: string, code: string, isExplained: boolean, what: string): void {
    const row = this.#row(kind)
    row.requests += 1
    if (code === LOST || code === SILENT) row.lost += 1
    if (isExplained) row.refused.set(code, (row.refused.get(code) ?? 0) + 1)
    else {
      row.unexplained += 1
      this.fault(`unexplained: ${kind}: ${code}: ${what}`)
    }
  }

  fault(what: string): void {
    this.faultCount += 1
    const going = this.#open.filter(({ until }) => until > performance.now() - 5000)
      .map(({ node, name, since }) => `${name} of ${node} for ${((performance.now() - since) / 1000).toFixed(1)} s`)
    const text = `${what} [${going.join(', ') || 'nothing disturbed'}]`
    if (this.faults.length < MAX_FAULTS) this.faults.push(text)
    this.#say(`FAULT ${text}`)
  }

  #row(kind: string): Row {
    let row = this.rows.get(kind)
    if (!row) {
      row = { requests: 0, right: 0, wrong: 0, refused: new Map(), lost: 0, unexplained: 0 }
      this.rows.set(kind, row)
    }
    return row
  }
}
