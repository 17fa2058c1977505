/** The floor: decode and `session.run` in C++ with nothing around them, as a contender. */
import { loadRuntime } from '../../native.js'
import { ContenderProcess } from '../contender-process.js'
import { buildNativeProgram } from '../native-program.js'
import type { ModelForm } from './form.js'

export interface FloorOptions {
  form: ModelForm
  image: string
  threads: number
  /** `session.run`s a frame. */
  runs: number
  signal?: AbortSignal | undefined
}

const PROGRAM = 'edge_infer_floor'

/** @throws EdgeInferError RUNTIME_UNAVAILABLE where it cannot be built. */
export async function startFloor({ form, image, threads, runs, signal }: FloorOptions): Promise<ContenderProcess> {
  const program = await buildNativeProgram(PROGRAM, signal)
  return ContenderProcess.start('floor', program, [
    `library=${loadRuntime().path}`,
    ...form.paths.map((path) => `model=${path}`),
    `image=${image}`,
    `threads=${threads}`,
    `runs=${runs}`,
    `width=${form.inputSize.width}`,
    `height=${form.inputSize.height}`,
  ])
}
