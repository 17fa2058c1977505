import {
  closeSync, constants, existsSync, mkdirSync, openSync, promises, readdirSync, readFileSync, readlinkSync, rmdirSync,
  statfsSync, writeSync,
} from 'node:fs'

/**
 * The small files of `/proc` and `/sys`, below a root that recorded trees and bind mounts may move. What one wants to
 * know of a machine (`text`, `number`, `names`, …) never throws: a file that is missing, forbidden or gone since it was
 * listed is `undefined`, and a folder like that is empty. What one must know or change (`read`, `write`, …) throws
 * Node's errno errors (`ENOENT`, `EBUSY`, …).
 */
export class HostFiles {
  readonly #root: string

  constructor(root = '/') {
    this.#root = root.replace(/\/+$/, '')
  }

  /** The text of a file, without the line break at its end. */
  read(path: string): string {
    return readFileSync(this.#root + path, 'utf8').trimEnd()
  }

  text(path: string): string | undefined {
    try {
      return this.read(path)
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

  exists(path: string): boolean {
    return existsSync(this.#root + path)
  }

  readLink(path: string): string {
    return readlinkSync(this.#root + path)
  }

  /** The magic number of a file system (statfs(2)); `undefined` of a recorded tree, which lies on another. */
  fileSystemType(path: string): number | undefined {
    return this.#root === '' ? statfsSync(path).type : undefined
  }

  /** Writes to a file that exists, in one write call. */
  write(path: string, text: string): void {
    const descriptor = openSync(this.#root + path, constants.O_WRONLY)
    try {
      writeSync(descriptor, text)
    } finally {
      closeSync(descriptor)
    }
  }

  /** As `write`, off the event loop: for writes during which the kernel may reclaim memory. */
  async writeReclaiming(path: string, text: string): Promise<void> {
    const file = await promises.open(this.#root + path, constants.O_WRONLY)
    try {
      await file.write(text)
    } finally {
      await file.close()
    }
  }

  makeDirectory(path: string): void {
    mkdirSync(this.#root + path)
  }

  removeDirectory(path: string): void {
    rmdirSync(this.#root + path)
  }

  /** SIGKILL. */
  kill(pid: number): void {
    process.kill(pid, 'SIGKILL')
  }
}

/** The errno code of an error of the kernel's, `''` for anything else. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
