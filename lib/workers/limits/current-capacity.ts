import { isDeepStrictEqual } from 'node:util'
import { readCapacity, type NodeCapacity } from '../../host/index.js'
import type { HostFiles } from '../../host/host-files.js'

/** How long it is good for where no limit is set. */
const FRESH_MS = 10_000

/** What the node may use: whoever runs it may move its own limits meanwhile. */
export class CurrentCapacity {
  readonly #files: HostFiles
  #value: NodeCapacity
  #readAt = performance.now()

  constructor(files: HostFiles) {
    this.#files = files
    this.#value = readCapacity(files)
  }

  /** The same object where nothing has changed. */
  read(freshMs = FRESH_MS): NodeCapacity {
    if (performance.now() - this.#readAt > freshMs) {
      const value = readCapacity(this.#files)
      if (!isDeepStrictEqual(value, this.#value)) this.#value = value
      this.#readAt = performance.now()
    }
    return this.#value
  }
}
