/** Up to this many bytes the pieces are kept apart; beyond, one buffer takes them, and no large copy is ever made. */
const APART_BYTES = 2 ** 20

/** Puts together the pieces of a body without holding up the event loop. */
export class GatheredBytes {
  readonly #capacity: number
  #pieces: Buffer[] = []
  #length = 0
  #whole: Buffer | undefined

  /** @param capacity the most bytes there may be. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(piece: Buffer): void {
    const end = this.#length + piece.length
    if (!this.#whole && end > APART_BYTES) {
      // Memory that is not written to is not taken from the machine: a caller cannot claim what it does not send.
      this.#whole = Buffer.allocUnsafeSlow(this.#capacity)
      let at = 0
      for (const earlier of this.#pieces) at += earlier.copy(this.#whole, at)
      this.#pieces = []
    }
    if (this.#whole) piece.copy(this.#whole, this.#length)
    else this.#pieces.push(piece)
    this.#length = end
  }

  finish(): Buffer {
    if (this.#whole) return this.#whole.subarray(0, this.#length)
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces, this.#length)
  }
}
