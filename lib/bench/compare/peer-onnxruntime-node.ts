/** `onnxruntime-node` and `sharp`, installed with npm into the cache directory; run by onnxruntime-node-peer.ts. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EdgeInferError } from '../../errors.js'
import { loadRuntime } from '../../native.js'
import { RUNTIME_PACKAGE } from '../../platform/runtime-library.js'
import { TargetProcess } from '../target-process.js'
import { benchDirectory } from '../native-program.js'
import type { Peer } from './peer.js'

const SHARP = '0.35.5'
const SCRIPT = fileURLToPath(new URL('onnxruntime-node-peer.js', import.meta.url))
const OUTPUT_KEPT = 2000

export const onnxruntimeNodePeer: Peer = {
  id: 'onnxruntime-node',
  name: 'onnxruntime-node + sharp',
  unfit: () => undefined,
  remark() {
    const ours = loadRuntime().version
    const theirs = RUNTIME_PACKAGE.version
    return ours === theirs ? [] : [`${this.name} runs ONNX Runtime ${theirs}, the library ${ours}.`]
  },
  async start(settings, signal) {
    const directory = await install(signal)
    return TargetProcess.start(this.name, process.execPath, [SCRIPT, JSON.stringify({ ...settings, directory })])
  },
}

/** The versions are fixed: the runtime's is that of the library we fetch, so that both run the same kernels then. */
async function install(signal: AbortSignal | undefined): Promise<string> {
  const { name: runtime, version } = RUNTIME_PACKAGE
  const directory = join(benchDirectory(), `${runtime}-${version}-sharp-${SHARP}`)
  const isInstalled = (name: string): boolean => existsSync(join(directory, 'node_modules', name, 'package.json'))
  if (['sharp', runtime].every(isInstalled)) return directory
  await mkdir(directory, { recursive: true })
  const manifest = { private: true, dependencies: { [runtime]: version, sharp: SHARP } }
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest))
  try {
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await promisify(execFile)('npm', args, { cwd: directory, signal })
  } catch (cause) {
    if (signal?.aborted) throw new EdgeInferError('ABORTED', 'The bench was interrupted', { cause })
    const { message, stderr } = cause as Error & { stderr?: string }
    const reason = (stderr || message).trim().slice(-OUTPUT_KEPT)
    throw new EdgeInferError('RUNTIME_UNAVAILABLE', `npm cannot install it in ${directory}: ${reason}`, { cause })
  }
  return directory
}
