/**
 * The few operations on the kernel's file trees (/proc, /sys/fs/cgroup) that limits are made of. The paths are the
 * kernel's own; errors are Node's errno errors (`ENOENT`, `EBUSY`, …).
 */
import {
  closeSync, constants, existsSync, mkdirSync, openSync, promises, readdirSync, readlinkSync, readSync, rmdirSync,
  statfsSync, writeSync,
} from 'node:fs'

export interface KernelFiles {
  /** The text of a file, without the line break at its end. */
  read(path: string): string
  /** Writes to a file that exists, in one write call. */
  write(path: string, text: string): void
  /** As `write`, off the event loop: for writes during which the kernel may reclaim memory. */
  writeReclaiming(path: string, text: string): Promise<void>
  exists(path: string): boolean
  makeDirectory(path: string): void
  removeDirectory(path: string): void
  /** Names of the directories in a directory. */
  directories(path: string): string[]
  readLink(path: string): string
  /** The magic number of the file system (`statfs`). */
  fileSystemType(path: string): number
  /** SIGKILL. */
  kill(pid: number): void
}

const buffer = Buffer.allocUnsafe(64 * 1024)

function read(path: string): string {
  const descriptor = openSync(path, 'r')
  try {
    let text = ''
    for (;;) {
      const bytes = readSync(descriptor, buffer, 0, buffer.length, null)
      if (bytes === 0) return text.trimEnd()
      text += buffer.toString('latin1', 0, bytes)
    }
  } finally {
    closeSync(descriptor)
  }
}

function write(path: string, text: string): void {
  const descriptor = openSync(path, constants.O_WRONLY)
  try {
    writeSync(descriptor, text)
  } finally {
    closeSync(descriptor)
  }
}

async function writeReclaiming(path: string, text: string): Promise<void> {
  const file = await promises.open(path, constants.O_WRONLY)
  try {
    await file.write(text)
  } finally {
    await file.close()
  }
}

export const kernelFiles: KernelFiles = {
  read,
  write,
  writeReclaiming,
  exists: existsSync,
  makeDirectory: (path) => { mkdirSync(path) },
  removeDirectory: rmdirSync,
  directories: (path) => readdirSync(path, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name),
  readLink: readlinkSync,
  fileSystemType: (path) => statfsSync(path).type,
  kill: (pid) => { process.kill(pid, 'SIGKILL') },
}

/** The errno code of an error of the kernel's, `''` for anything else. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** `read`, with a fallback where the file does not exist. */
export function readOr(files: KernelFiles, path: string, fallback: string): string {
  try {
    return files.read(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return fallback
    throw error
  }
}
