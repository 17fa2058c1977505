import { spawn } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createSampler, type Sampler } from '../../lib/host/index.js'
import { isAlive } from '../helpers/processes.js'
import { until } from './trees.js'

const SHELL_TOOLS = '/usr/bin:/bin'

/** A folder with a `nvidia-smi` of those shell lines, which notes the pid and arguments of each of its runs. */
function installFake(t: Test, lines: string): { folder: string; runs: () => { pid: number; args: string }[] } {
  const folder = t.testdir({})
  const log = join(folder, 'runs')
  const program = join(folder, 'nvidia-smi')
  writeFileSync(program, `#!/bin/sh\nPATH=${SHELL_TOOLS}\necho "$$ $*" >> '${log}'\n${lines}\n`)
  chmodSync(program, 0o755)
  const runs = (): { pid: number; args: string }[] => {
    const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
    return text.split('\n').slice(0, -1).map(line => {
      const [, pid, args = ''] = /^(\d+) (.*)$/.exec(line) ?? []
      return { pid: Number(pid), args }
    })
  }
  t.teardown(() => {
    for (const { pid } of runs()) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return { folder, runs }
}

function start(t: Test, folder: string, timing = {}): Sampler {
  const sampler = createSampler({ searchPath: `/nonexistent:${folder}`, intervalMs: 50, nvidiaSmi: timing })
  t.teardown(() => sampler.stop())
  return sampler
}

t.test('one process is kept that repeats its query; it ends with the sampler', async t => {
  const { folder, runs } = installFake(t, `
    while :; do
      echo '0, 512, 24576, 7'; echo '1, [N/A], [N/A], [Not Supported]'; echo '2, 100, 0, 8'; sleep 0.05
    done`)
  const sampler = start(t, folder)
  await until(() => sampler.current().gpu_mem['0'] !== undefined, 'figures of a card')
  t.match(sampler.current(), { gpu_mem: { 0: 0.0208 }, gpu_mem_total: { 0: 24 } })
  t.strictSame(sampler.current().gpu_utilization, { 0: 7, 2: 8 }, 'a figure a card does not give is left out')
  t.strictSame(Object.keys(sampler.current().gpu_mem), ['0'])
  t.equal(runs().length, 1)
  t.match(runs()[0]?.args, /--query-gpu=index,.* --loop=1$/)
  sampler.stop()
  await until(() => !isAlive(runs()[0]?.pid ?? 0), 'end of the process')
})

t.test('a repeating one that stays silent is replaced by single runs', async t => {
  const { folder, runs } = installFake(t, `case "$*" in *--loop*) exec sleep 600;; *) echo '0, 1, 4, 50';; esac`)
  const sampler = start(t, folder, { silenceMs: 1000, pollMs: 100 })
  await until(() => sampler.current().gpu_mem['0'] === 0.25, 'figures of a single run')
  t.notOk(isAlive(runs()[0]?.pid ?? 0), 'the silent one is killed')
  const before = runs().length
  await until(() => runs().length > before, 'another single run')
  t.strictSame(sampler.current().gpu_utilization, { 0: 50 })
})

t.test('figures are forgotten when no more arrive', async t => {
  const { folder } = installFake(t, 'echo \'0, 1, 4, 50\'; exec sleep 600')
  const sampler = start(t, folder, { silenceMs: 500 })
  await until(() => sampler.current().gpu_mem['0'] === 0.25, 'figures')
  const { gpu_mem: first } = sampler.current()
  await until(() => sampler.current().gpu_mem['0'] === undefined, 'no figures')
  t.strictSame(first, { 0: 0.25 })
  t.strictSame(sampler.current().gpu_utilization, {})
})

t.test('garbage and a failing exit: no GPU, and no second run before its time', async t => {
  const { folder, runs } = installFake(t, `
    printf 'NVIDIA-SMI has failed\\n0, 1\\n-1, 1, 4, 50\\n0, 1, 4, 50, 60\\n'; head -c 100000 /dev/urandom; exit 1`)
  const sampler = start(t, folder, { retryMs: 1500 })
  await until(() => runs().length === 1 && !isAlive(runs()[0]?.pid ?? 0), 'the first run')
  t.strictSame(sampler.sampleNow().gpu_mem, {})
  t.strictSame(sampler.current().gpu_utilization, {})
  t.equal(runs().length, 1)
  await until(() => runs().length === 2, 'a second try later')
})

t.test('one that always hangs delays no sample, never runs twice, and the program ends although it hangs', async t => {
  const { folder, runs } = installFake(t, 'exec sleep 600')
  const sampler = start(t, folder, { silenceMs: 200, retryMs: 100 })
  let most = 0
  while (runs().length < 4) {
    sampler.sampleNow()
    most = Math.max(most, runs().filter(({ pid }) => isAlive(pid)).length)
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  sampler.stop()
  t.equal(most, 1, 'one still runs when a sample is taken, and no second')
  await until(() => runs().every(({ pid }) => !isAlive(pid)), 'end of all')

  const library = new URL('../../lib/host/index.js', import.meta.url).href
  const script = `import { createSampler } from '${library}'; createSampler({ searchPath: '${folder}' }); ` +
    'await new Promise(resolve => setTimeout(resolve, 300))'
  const before = runs().length
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
  const code = await new Promise<number | null>(resolve => child.once('exit', resolve))
  t.equal(code, 0, 'nothing of the sampler keeps the program alive')
  t.equal(runs().length, before + 1)
  await until(() => runs().every(({ pid }) => !isAlive(pid)), 'end of the one it left')
})
