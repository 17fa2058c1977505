/** SHA-256 of files, remembered beside the store as long as a file's size and times do not change. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { storeDirectory } from './paths.js'

interface Remembered {
  path: string
  size: number
  mtimeMs: number
  ctimeMs: number
  sha256: string
}

/** Reads the whole file, whatever is remembered of it, and remembers the result. */
export async function computeDigest(path: string): Promise<string> {
  const before = await stat(path)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  const sha256 = hash.digest('hex')
  await remember({ path, size: before.size, mtimeMs: before.mtimeMs, ctimeMs: before.ctimeMs, sha256 })
  return sha256
}

/** The file's digest, without reading it where it has not changed since it was last read. */
export async function digestOf(path: string): Promise<string> {
  const now = await stat(path)
  const known = await recall(path)
  const unchanged = known !== undefined && known.path === path && known.size === now.size &&
    known.mtimeMs === now.mtimeMs && known.ctimeMs === now.ctimeMs
  return unchanged ? known.sha256 : computeDigest(path)
}

function noteFor(path: string): string {
  return join(storeDirectory(), '.digests', `${createHash('sha256').update(path).digest('hex').slice(0, 32)}.json`)
}

async function recall(path: string): Promise<Remembered | undefined> {
  try {
    return JSON.parse(await readFile(noteFor(path), 'utf8')) as Remembered
  } catch {
    return undefined
  }
}

/** A note that cannot be written (a read-only store) only costs time. */
async function remember(fact: Remembered): Promise<void> {
  const note = noteFor(fact.path)
  const temporary = `${note}.${process.pid}`
  try {
    await mkdir(join(note, '..'), { recursive: true })
    await writeFile(temporary, JSON.stringify(fact))
    await rename(temporary, note)
  } catch {}
}
