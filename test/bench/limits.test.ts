import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../cli/run.js'
import { openLimits } from '../../lib/workers/limits/index.js'

interface Row {
  kind: 'limit' | 'step'
  task: string
  workers: number
  limit: number
  cpu_used: number
  requests: number
  errors: number
  p50_ms: number
  p99_ms: number
  run_p50_ms: number
  throttled_share: number
  effect_ms?: number
}

t.test('bench limits: CPU used follows the limit, and a change takes effect at once', async (t) => {
  const output = join(t.testdir(), 'limits.json')
  const { code, stdout, stderr } = await runCli(
    'bench', 'limits', '--limit', '0.1,0.25', '--workers', '1,2', '--seconds', '2', '--output', output,
  )
  const limits = await openLimits({ removeLeftovers: false })
  const { cpu } = limits.missing
  await limits.close()
  if (cpu !== undefined) return t.match({ code, stderr }, { code: 1, stderr: /CGROUP_UNAVAILABLE/ })
  t.equal(code, 0, stderr)
  t.match(stdout, /face_detection +1 +0\.1 +0\.\d{4} /)
  t.match(stdout, /p99 ≤ 2\.5 × p50 at 0\.25 +1 +(holds|missed)/)
  const { records } = JSON.parse(await readFile(output, 'utf8')) as { records: Row[] }
  for (const workers of [1, 2]) {
    const [low, high] = records.filter((row) => row.kind === 'limit' && row.workers === workers) as [Row, Row]
    for (const { limit, cpu_used: used, ...row } of [low, high]) {
      t.ok(used > limit * 0.02 && used < limit * 1.1, `${workers} at ${limit}: ${used}`)
      t.ok(row.requests > 0 && row.errors === 0, `${row.requests} answers`)
      t.ok(row.p50_ms >= row.run_p50_ms && row.p99_ms >= row.p50_ms)
      t.ok(row.throttled_share > 0 && row.throttled_share <= 1, `${row.throttled_share} throttled`)
    }
    const step = records.find((row) => row.kind === 'step' && row.workers === workers)
    t.ok((step?.effect_ms ?? Infinity) < 60_000, `a change takes effect after ${step?.effect_ms} ms`)
  }
})

t.test('the plot stands alone; limits that are none are refused', async (t) => {
  const refused = await runCli('bench', 'limits', '--limit', '0.5,1.5')
  t.match(refused, { code: 2, stderr: /above 0, up to 1/ })
  const output = join(t.testdir(), 'limits.svg')
  const { code, stderr } = await runCli(
    'bench', 'limits', '--limit', '0.5', '--workers', '1', '--seconds', '1', '--output', output,
  )
  if (/CGROUP_UNAVAILABLE/.test(stderr)) return t.equal(code, 1)
  t.equal(code, 0, stderr)
  const svg = await readFile(output, 'utf8')
  t.match(
    svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^]*Limit asked and CPU used[^]*p99, 1 worker[^]*<\/svg>\n$/,
  )
  t.notMatch(svg, /href|<script|NaN/)
})
