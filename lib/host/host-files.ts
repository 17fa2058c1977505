import { readdirSync, readFileSync } from 'node:fs'

/**
 * The small files of `/proc` and `/sys`, below a root that tests and bind mounts may move. Nothing here throws: a file
 * that is missing, forbidden or gone since it was listed is `undefined`, and a folder like that is empty.
 */
export class HostFiles {
  readonly #root: string

  constructor(root = '/') {
    this.#root = root.replace(/\/+$/, '')
  }

  text(path: string): string | undefined {
    try {
      return readFileSync(this.#root + path, 'utf8')
    } catch {
      return undefined
    }
  }

  bytes(path: string): Buffer | undefined {
    try {
      return readFileSync(this.#root + path)
    } catch {
      return undefined
    }
  }

  /** The one non-negative number a file holds; `undefined` where it holds anything else (`max`, -1, nothing). */
  number(path: string): number | undefined {
    const text = this.text(path)?.trim()
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
  }

  /** Names in a folder, sorted. */
  names(path: string): string[] {
    try {
      return readdirSync(this.#root + path).sort()
    } catch {
      return []
    }
  }

  /** Names of the folders in a folder, sorted; links are not followed. */
  folders(path: string): string[] {
    try {
      return readdirSync(this.#root + path, { withFileTypes: true })
        .filter(entry => entry.isDirectory())
        .map(entry => entry.name)
        .sort()
    } catch {
      return []
    }
  }
}
