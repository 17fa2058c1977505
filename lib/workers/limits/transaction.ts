import { EdgeInferError } from '../../errors.js'
import type { KernelWrite } from '../../host/cgroup/index.js'
import { errnoOf, type HostFiles } from '../../host/host-files.js'

/**
 * Writes all or nothing: after a write that fails, those before it are undone, last first.
 * @throws EdgeInferError LIMIT_TOO_LOW where the kernel could not reclaim the memory, CGROUP_UNAVAILABLE otherwise.
 */
export async function writeAll(files: HostFiles, writes: readonly KernelWrite[]): Promise<void> {
  const done: KernelWrite[] = []
  try {
    for (const write of writes) {
      const pending = writeOne(files, write, write.value)
      if (pending) await pending
      done.push(write)
    }
  } catch (error) {
    const failed = writes[done.length]
    for (const write of done.reverse()) await writeOne(files, write, write.previous)
    throw refusal(failed, error)
  }
}

/** A promise only where memory may be reclaimed: other writes follow each other with nothing in between. */
function writeOne(files: HostFiles, { path, reclaims }: KernelWrite, value: string): Promise<void> | void {
  if (reclaims) return files.writeReclaiming(path, `${value}\n`)
  files.write(path, `${value}\n`)
}

function refusal(write: KernelWrite | undefined, error: unknown): EdgeInferError {
  const name = write?.path.split('/').at(-1)
  const code = write?.reclaims && errnoOf(error) === 'EBUSY' ? 'LIMIT_TOO_LOW' : 'CGROUP_UNAVAILABLE'
  const answer = `but it answered ${errnoOf(error)}; nothing was changed`
  const message = `Expected the kernel to take ${write?.value} as ${name} ${answer}`
  return new EdgeInferError(code, message, { cause: error })
}
