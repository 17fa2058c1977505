import { cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createSampler, type Sampler, type SamplerOptions } from '../../lib/host/index.js'
import { until as comesTrue } from '../helpers/processes.js'

const repository = join(dirname(fileURLToPath(import.meta.url)), '../../..')
const trees = join(repository, 'test/fixtures/node-trees')

/** A recorded machine: `tree` as it was at first, `next` the files that had changed one second later. */
export interface RecordedTree {
  root: string
  clock: { nowMs: number }
  /** One second passes. */
  advance(): void
}

export function openTree(t: Test, name: string): RecordedTree {
  const root = t.testdir({})
  const clock = { nowMs: 1000 }
  cpSync(join(trees, name, 'tree'), root, { recursive: true, verbatimSymlinks: true })
  return {
    root,
    clock,
    advance: () => {
      cpSync(join(trees, name, 'next'), root, { recursive: true, verbatimSymlinks: true })
      clock.nowMs += 1000
    },
  }
}

/** A sampler that samples only when told. */
export function samplerOf(t: Test, tree: RecordedTree, options: SamplerOptions = {}): Sampler {
  const sampler = createSampler({
    root: tree.root, now: () => tree.clock.nowMs, intervalMs: 1e9, searchPath: '', ...options,
  })
  t.teardown(() => sampler.stop())
  return sampler
}

/** Waits for something to become true. @throws Error with `what` when it does not. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  if (!await comesTrue(condition)) throw new Error(`it never came true: ${what}`)
}
