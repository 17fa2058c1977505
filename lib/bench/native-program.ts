/** Programs of `native/bench`, compiled when a bench needs them, in the cache directory. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EdgeInferError } from '../errors.js'
import { cacheDirectory, home } from '../models/index.js'

const run = promisify(execFile)
const PACKAGE_ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const OUTPUT_KEPT = 2000

/**
 * `edge-infer/bench` in the user's cache directory.
 * @throws EdgeInferError BAD_OPTION for an account that has none: where all may write, a program may be another's.
 */
export function benchDirectory(): string {
  if (!process.env.XDG_CACHE_HOME && home() === tmpdir()) {
    throw new EdgeInferError('BAD_OPTION', 'This account has no home directory for programs that are compiled here. ' +
      'Set XDG_CACHE_HOME to a directory of its own')
  }
  return join(cacheDirectory(), 'bench')
}

/**
 * Path of the program of that CMake target.
 * @throws EdgeInferError RUNTIME_UNAVAILABLE: what is missing to build it.
 */
export async function buildNativeProgram(target: string, signal?: AbortSignal): Promise<string> {
  // A build directory belongs to one source directory.
  const key = createHash('sha256').update(PACKAGE_ROOT).digest('hex').slice(0, 12)
  const build = join(benchDirectory(), `native-${key}`)
  await cmake(['-S', PACKAGE_ROOT, '-B', build, '-DEDGE_INFER_BENCH=ON', '-DCMAKE_BUILD_TYPE=Release'], signal)
  await cmake(['--build', build, '--target', target], signal)
  return join(build, target)
}

async function cmake(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  try {
    await run('cmake', args, { signal })
  } catch (cause) {
    if (signal?.aborted) throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause })
    const { code, message, stderr } = cause as NodeJS.ErrnoException & { stderr?: string }
    const reason = code === 'ENOENT'
      ? 'there is no cmake; run "apt-get install cmake g++ libopencv-dev"'
      : (stderr || message).trim().slice(-OUTPUT_KEPT)
    throw new EdgeInferError('RUNTIME_UNAVAILABLE', `The bench's native program cannot be built: ${reason}`, { cause })
  }
}
