/** The labelled pictures and models beside the repository, where there are any. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DATA = fileURLToPath(new URL('../../../../shared/data', import.meta.url))

/** Undefined, with a word of it in the test's output, on a machine that has none. */
export function findData(t: { comment(message: string): void }): string | undefined {
  if (existsSync(DATA)) return DATA
  t.comment(`left out: there are no labelled pictures in ${DATA}`)
  return undefined
}

/** Lets the store find the models that lie with the data. */
export function useModelsOf(data: string): void {
  process.env.EDGE_INFER_MODELS = [join(data, 'models'), process.env.EDGE_INFER_MODELS].filter(Boolean).join(delimiter)
}
