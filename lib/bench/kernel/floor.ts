/** The floor: decode and `session.run` in C++ with nothing around them, as a contender. */
import { loadRuntime } from '../../native.js'
import { resolveModel } from '../../models/index.js'
import { ContenderProcess } from '../contender-process.js'
import { buildNativeProgram } from '../native-program.js'

export interface FloorOptions {
  /** Name of the catalogue, or a path. */
  model: string
  image: string
  threads: number
  /** `session.run`s a frame. */
  runs: number
  signal?: AbortSignal | undefined
}

const PROGRAM = 'edge_infer_floor'

/** @throws EdgeInferError RUNTIME_UNAVAILABLE where it cannot be built. */
export async function startFloor({ model, image, threads, runs, signal }: FloorOptions): Promise<ContenderProcess> {
  const program = await buildNativeProgram(PROGRAM, signal)
  const { entry, paths } = await resolveModel(model)
  return ContenderProcess.start('floor', program, [
    `library=${loadRuntime().path}`,
    ...paths.map((path) => `model=${path}`),
    `image=${image}`,
    `threads=${threads}`,
    `runs=${runs}`,
    ...(entry.input ? [`size=${entry.input.width}`] : []),
  ])
}
