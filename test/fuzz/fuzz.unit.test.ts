import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const fuzzer = join(import.meta.dirname, 'fuzzer.js')
const targets = readdirSync(join(import.meta.dirname, 'targets')).flatMap((file) => /^(\w+)\.js$/.exec(file)?.[1] ?? [])

void t.test('the fuzzers in TypeScript find nothing among the same two thousand inputs', async (t) => {
  t.ok(targets.length > 0)
  const folder = t.testdir()
  for (const target of targets) {
    const { stdout } = await promisify(execFile)(process.execPath, [
      fuzzer, target, '--runs', '2000', '--seed', '1', '--corpus', join(folder, target), '--artifacts', `${folder}/`])
    t.match(stdout, /number_of_executed_units: \d{4}/, target)
  }
})
