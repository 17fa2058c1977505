/** The unit tests of native/core, which are a program of their own: each of its cases is an assertion here. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { loadRuntime } from '../../lib/native.js'
import { repositoryPath } from '../helpers/shared.js'

const EXECUTABLES = ['build/edge_infer_core_test', 'build/Release/edge_infer_core_test'].map(
  (name) => repositoryPath(name),
)

t.test('the unit tests of the native core', { timeout: 120_000 }, async (t) => {
  const path = EXECUTABLES.find((candidate) => existsSync(candidate))
  if (path === undefined) {
    t.fail(`${EXECUTABLES.join(' or ')} has not been built; run "bash bin/setup --for-tests"`)
    return
  }
  const { stdout } = await promisify(execFile)(path, ['--reporters=xml', '--duration=true'], {
    maxBuffer: 64 * 1024 * 1024, timeout: 110_000,
    env: { ...process.env, EDGE_INFER_ORT_LIBRARY: loadRuntime().path },
  }).catch((error: { stdout: string }) => error)
  const all = [...stdout.matchAll(/<TestCase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/TestCase>)/g)]
  const isSkipped = ([whole]: RegExpExecArray): boolean => whole.includes('skipped="true"')
  t.strictSame(all.filter(isSkipped).map(([, name]) => name), ['each task once'], 'valgrind.sh alone runs that one')
  const cases = all.filter((one) => !isSkipped(one))
  t.ok(cases.length >= 30, `${cases.length} cases`)
  for (const [, name, body = ''] of cases) t.match(body, /test_case_success="true"/, name ?? '')
  t.match(stdout, /<OverallResultsTestCases [^>]*failures="0"/, 'it ran to its end')
})
