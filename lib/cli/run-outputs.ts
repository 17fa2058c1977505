/** Where `edge-infer run --out` writes. */
import { mkdir, realpath } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve, sep } from 'node:path'
import { EdgeInferError, writeError } from '../errors.js'
import { isDirectory, PICTURE_TYPES, STANDARD_INPUT, type Input, type Inputs } from './run-inputs.js'

/** Containers of annotated videos; the first unless said otherwise. */
const VIDEO_OUT_TYPES: readonly string[] = ['.mp4', '.avi', '.mov', '.mkv']

/**
 * The annotated file of each input, and the directories for them. `out` is a file for one input, unless it is a
 * directory already or has no file type; for several it is a directory.
 */
export async function planOutputs(out: string, { list, single }: Inputs): Promise<Map<Input, string>> {
  const directory = out.endsWith(sep) || extname(out) === '' || await isDirectory(out)
  const planned = new Map<Input, string>()
  if (!directory) {
    const [input] = list
    if (!single || input === undefined) {
      const message = `Expected a directory for --out, since there are several inputs, but received ${out}`
      throw new EdgeInferError('BAD_OPTION', message)
    }
    checkType(out, input)
    planned.set(input, out)
  } else {
    const taken = new Set<string>()
    for (const input of list) planned.set(input, freeName(join(out, outputName(input)), taken))
  }
  await mkdir(directory ? out : dirname(out), { recursive: true }).catch((cause: Error) => {
    throw writeError('The directory of --out', cause)
  })
  await checkNothingIsOverwritten(planned)
  return planned
}

function checkType(out: string, { kind }: Input): void {
  const types = kind === 'picture' ? PICTURE_TYPES : VIDEO_OUT_TYPES
  if (types.includes(extname(out).toLowerCase())) return
  const message = `Expected --out to be a directory or a file ending in ${types.join(', ')} but received ${out}`
  throw new EdgeInferError('BAD_OPTION', message)
}

function outputName({ kind, path }: Input): string {
  if (path === STANDARD_INPUT) return 'stdin.jpg'
  const type = extname(path)
  if (kind === 'video') return `${basename(path, type)}${VIDEO_OUT_TYPES[0]}`
  return PICTURE_TYPES.includes(type.toLowerCase()) ? basename(path) : `${basename(path)}.jpg`
}

/** Inputs of several directories may have one name: the later ones are numbered. */
function freeName(path: string, taken: Set<string>): string {
  const type = extname(path)
  let free = path
  for (let number = 2; taken.has(free); number++) free = `${path.slice(0, path.length - type.length)}-${number}${type}`
  taken.add(free)
  return free
}

async function checkNothingIsOverwritten(planned: ReadonlyMap<Input, string>): Promise<void> {
  const real = (path: string): Promise<string> => realpath(path).catch(() => resolve(path))
  const inputs = new Set(await Promise.all([...planned.keys()].map(({ path }) => real(path))))
  for (const out of planned.values()) {
    if (!inputs.has(await real(out))) continue
    throw new EdgeInferError('BAD_OPTION', `Expected --out to leave the inputs alone but it would overwrite ${out}`)
  }
}
