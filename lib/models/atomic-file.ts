/** A file that is either complete and of the right digest, or not there. */
import { createHash, randomBytes } from 'node:crypto'
import { open, mkdir, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { EdgeInferError } from '../errors.js'
import type { CatalogFile } from './types.js'

const PREFIX = '.partial-'
/** A download writes all the time; one that has not for so long, and whose process is gone, is a leftover. */
const LEFTOVER_AGE_MS = 60_000

export class AtomicFile {
  private readonly hash = createHash('sha256')
  private bytes = 0

  private constructor(
    private readonly directory: string,
    private readonly file: CatalogFile,
    private readonly temporary: string,
    private readonly handle: FileHandle,
  ) {}

  static async create(directory: string, file: CatalogFile): Promise<AtomicFile> {
    await mkdir(directory, { recursive: true })
    await removeLeftovers(directory)
    const unique = `${process.pid}-${randomBytes(6).toString('hex')}`
    const temporary = join(directory, `${PREFIX}${unique}-${file.name}`)
    return new AtomicFile(directory, file, temporary, await open(temporary, 'wx', 0o644))
  }

  async write(chunks: AsyncIterable<Uint8Array>, onBytes: (count: number) => void = () => {}): Promise<void> {
    for await (const chunk of chunks) {
      this.hash.update(chunk)
      this.bytes += chunk.length
      await this.handle.writeFile(chunk)
      onBytes(chunk.length)
    }
  }

  /** Checks the digest and moves the file to its place. Nothing stays behind when the check fails. */
  async commit(): Promise<string> {
    try {
      const received = this.hash.digest('hex')
      if (this.file.sha256 !== undefined && received !== this.file.sha256) {
        const short = this.file.bytes !== undefined && this.bytes < this.file.bytes
        throw new EdgeInferError(
          short ? 'MODEL_UNAVAILABLE' : 'MODEL_DIGEST',
          short
            ? `${this.file.name} ended after ${this.bytes} of ${this.file.bytes} bytes`
            : `${this.file.name} has SHA-256 ${received}, expected ${this.file.sha256}`,
        )
      }
      await this.handle.sync()
      await this.handle.close()
      const path = join(this.directory, this.file.name)
      await rename(this.temporary, path)
      return path
    } catch (error) {
      await this.discard()
      throw error
    }
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => {})
    await rm(this.temporary, { force: true })
  }
}

async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN
    if (Number.isNaN(pid) || isAlive(pid)) continue
    const path = join(directory, name)
    const age = Date.now() - (await stat(path).then((found) => found.mtimeMs, () => Date.now()))
    if (age > LEFTOVER_AGE_MS) await rm(path, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
