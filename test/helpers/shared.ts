/** The folder of test data beside the repository, and the models in it. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const DATA = join(ROOT, '..', 'shared', 'data')

/** Whether the test data is there. Where it is not, `why` is what a test says instead of running. */
export const shared = { present: existsSync(DATA), why: 'there is no ../shared/data' } as const

/** For tests that need the test data: skipped, with the reason, where it is not. */
export const skip = shared.present ? false : shared.why

/** Path of a file or folder of the test data. */
export function sharedPath(...names: string[]): string {
  return join(DATA, ...names)
}

export function sharedImage(name: string): Buffer {
  return readFileSync(sharedPath('images', name))
}

/** Lets the models of the test data be found by name, beside those of the store. */
export function useSharedModels(): void {
  const others = process.env.EDGE_INFER_MODELS
  process.env.EDGE_INFER_MODELS = others ? `${others}:${sharedPath('models')}` : sharedPath('models')
}

/** File URL of a compiled module of the library, for programs that tests start. */
export function libraryUrl(name: string): string {
  return new URL(`../../lib/${name}`, import.meta.url).href
}

/** Path of a file in the repository. */
export function repositoryPath(...names: string[]): string {
  return join(ROOT, ...names)
}
