/**
 * The memory a server shares with one worker: a slot for each job the worker may hold. A picture is copied into its
 * slot once, and the worker's native code reads it there.
 */
import { closeSync } from 'node:fs'
import { native, type SharedMemory } from '../../native.js'

/** Bytes of a slot: the largest body, or the largest picture of a nested list, fits. Pages are taken as needed. */
const SLOT_BYTES = 256 * 1024 * 1024
/** Pages a slot keeps from one job to the next; those beyond are given back. */
const KEPT_BYTES = 4 * 1024 * 1024

export class JobMemory {
  readonly #shared: SharedMemory
  readonly #slots: number
  readonly #free: number[]
  #closed = false

  constructor(slots: number) {
    this.#slots = slots
    this.#shared = native.createSharedMemory(slots * SLOT_BYTES)
    this.#free = Array.from({ length: slots }, (_, index) => index)
  }

  /** What the worker is to inherit. */
  get fd(): number {
    return this.#shared.fd
  }

  /** Copies the parts, one behind the other, into a free slot; undefined where they do not fit or none is free. */
  write(parts: readonly Uint8Array[]): JobSlot | undefined {
    const bytes = parts.reduce((sum, { length }) => sum + length, 0)
    if (bytes > SLOT_BYTES || this.#closed) return undefined
    const index = this.#free.pop()
    if (index === undefined) return undefined
    const offset = index * SLOT_BYTES
    let at = offset
    for (const part of parts) {
      this.#shared.memory.set(part, at)
      at += part.length
    }
    const release = (): void => {
      if (this.#closed) return
      if (bytes > KEPT_BYTES) native.releaseSharedPages(this.#shared.fd, offset + KEPT_BYTES, SLOT_BYTES - KEPT_BYTES)
      this.#free.push(index)
    }
    return { offset, bytes, release }
  }

  /** To be called when the worker is gone. The mapping goes with the garbage, its pages at once. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    native.releaseSharedPages(this.#shared.fd, 0, this.#slots * SLOT_BYTES)
    closeSync(this.#shared.fd)
  }
}

export interface JobSlot {
  /** Where the worker finds the bytes. */
  offset: number
  bytes: number
  /** To be called when the worker has done with the job. */
  release(): void
}
