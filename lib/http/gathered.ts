import { native } from '../native.js'

/** Up to this many bytes the pieces of a body of unknown length are kept apart; beyond, one buffer takes them. */
const APART_BYTES = 2 ** 20

/** Puts together the pieces of a body without holding up the event loop: no large copy is ever made. */
export class GatheredBytes {
  readonly #limit: number
  readonly #declared: number | undefined
  #pieces: Buffer[] = []
  #length = 0
  #whole: Buffer | undefined

  /**
   * @param limit the most bytes there may be.
   * @param declared as many as there are, where that is known; the memory of the pieces is reclaimed then.
   */
  constructor(limit: number, declared?: number) {
    this.#limit = limit
    this.#declared = declared
  }

  add(piece: Buffer): void {
    const end = this.#length + piece.length
    if (!this.#whole && (this.#declared !== undefined || end > APART_BYTES)) this.#beginWhole()
    if (this.#whole) piece.copy(this.#whole, this.#length)
    else this.#pieces.push(piece)
    if (this.#declared !== undefined) native.reclaim(piece)
    this.#length = end
  }

  finish(): Buffer {
    if (this.#whole) return this.#whole.length === this.#length ? this.#whole : this.#whole.subarray(0, this.#length)
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces, this.#length)
  }

  /** Memory that is not written to is not taken from the machine: a caller cannot claim what it does not send. */
  #beginWhole(): void {
    this.#whole = Buffer.allocUnsafeSlow(this.#declared ?? this.#limit)
    let at = 0
    for (const earlier of this.#pieces) at += earlier.copy(this.#whole, at)
    this.#pieces = []
  }
}
