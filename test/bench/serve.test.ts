import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../cli/run.js'
import { startServer } from '../http/server.js'

interface Row {
  kind: 'form' | 'level' | 'beside' | 'soak' | 'soak sample'
  form: string
  body_bytes: number
  served_p50_ms: number
  library_p50_ms: number
  added_ms: number
  around_inference_ms: number
  concurrency?: number
  request_rate?: number
  eighty_percent: string
  requests: number
  errors: number
  requests_per_second: number
  p50_ms: number
  p95_ms: number
  p99_ms: number
  longest_stall_ms?: number
  server_cpu_cores?: number
  workers_cpu_cores?: number
  loader_cpu_cores: number
  loader_cpu_ms_per_request?: number
}

const QUICK = ['--measurement-interval', '300', '--warmup-request-count', '3', '--stability-percentage', '60']

async function rowsOf(path: string): Promise<Row[]> {
  return (JSON.parse(await readFile(path, 'utf8')) as { records: Row[] }).records
}

t.test('a server of its own: what an encoding adds, load by level, use of cores, memory over time', async (t) => {
  const output = join(t.testdir(), 'serve.json')
  const { code, stdout, stderr } = await runCli(
    'bench', 'serve', '--form', 'raw', 'bytes-literal', 'latin1', 'nested-list', '--concurrency-range', '1:3:2',
    ...QUICK,
    '--soak', '3s', '--output', output,
  )
  t.equal(code, 0, stderr)
  t.match(stdout, /ENCODING +BODY +REQUESTS +SERVED +LIBRARY +ADDED/)
  t.match(stdout, /nested list ≤ 40 ms around inference +[\d.]+ +(holds|missed)/)
  t.match(stdout, /longest stall at saturation ≤ 10 ms +[\d.]+ +(holds|missed)/)
  const rows = await rowsOf(output)
  const forms = new Map(rows.filter(({ kind }) => kind === 'form').map((row) => [row.form, row]))
  t.same([...forms.keys()], ['raw', 'bytes-literal', 'latin1', 'nested-list'])
  for (const {
    form, requests, library_p50_ms: library, added_ms: added, around_inference_ms: around,
  } of forms.values()) {
    t.ok(requests >= 10 && library > 0 && Number.isFinite(added), `${form}: ${library} + ${added}`)
    t.ok(around > 0 && Number.isFinite(around), `${form}: ${around}`)
  }
  const bytes = forms.get('raw')?.body_bytes ?? 0
  t.ok(bytes > 80_000 && bytes <= 100_000, `a frame of ${bytes} bytes`)
  t.ok((forms.get('nested-list')?.body_bytes ?? 0) > 1280 * 720 * 3 * 2)
  const levels = rows.filter(({ kind, form }) => kind === 'level' && form === 'raw')
  t.same(levels.map((row) => row.concurrency), [1, 3, undefined])
  for (const row of levels) {
    t.equal(row.errors, 0)
    t.ok(row.requests_per_second > 0 && row.p50_ms > 0 && row.p95_ms >= row.p50_ms && row.p99_ms >= row.p95_ms)
    t.ok((row.longest_stall_ms ?? -1) >= 0)
    const { server_cpu_cores: server = 0, workers_cpu_cores: workers = 0, loader_cpu_cores: loader } = row
    t.ok(server > 0 && loader > 0 && workers > 0, `cores: workers ${workers}, server ${server}, loader ${loader}`)
    t.ok(Math.abs((row.loader_cpu_ms_per_request ?? 0) * row.requests_per_second / 1000 / loader - 1) < 1e-6)
  }
  const [one, three, comfortable] = levels as [Row, Row, Row]
  t.ok(Math.abs((comfortable.request_rate ?? 0) / Math.max(
    one.requests_per_second, three.requests_per_second,
  ) - 0.8) < 0.01)

  t.match(stdout, /memory over \d+ s within ±3 % \(server\) +[+−][\d.]+ %.* (holds|missed)/)
  const samples = rows.filter(({ kind }) => kind === 'soak sample') as unknown as Record<string, number>[]
  t.equal(samples.length, 6)
  for (const sample of samples) {
    const [own = 0, pss = 0, rss = 0] = ['', 'pss_', 'rss_'].map((kind) => sample[`server_${kind}bytes`])
    const workers = sample.workers_bytes ?? 0
    t.ok(own > 20e6 && own <= pss && pss <= rss, `server: ${own} of ${pss} of ${rss}`)
    t.ok(workers > 20e6, `workers: ${workers}`)
  }
  t.same(rows.filter(({ kind }) => kind === 'soak').map((row) => (row as unknown as { party: string }).party),
    ['server', 'workers', 'together'])
})

t.test('a server that runs: rates are not exceeded', async (t) => {
  const { url } = await startServer(t, { tasks: { face_detection: { workers: 1 } } })
  const output = join(t.testdir(), 'serve.csv')
  const { code, stdout, stderr } = await runCli(
    'bench', 'serve', '--url', url, '--form', 'base64', '--request-rate-range', '5:15:10', ...QUICK, '--json',
    '--output', output,
  )
  t.equal(code, 0, stderr)
  const levels = (JSON.parse(stdout) as { records: Row[] }).records.filter(({ kind }) => kind === 'level')
  t.same(levels.map((row) => row.request_rate), [5, 15])
  for (const row of levels) {
    const rate = row.requests_per_second / (row.request_rate ?? 0)
    t.ok(rate > 0 && rate < 1.6, `${row.requests_per_second} of ${row.request_rate} a second`)
    t.notOk('longest_stall_ms' in row, 'not known of another process')
  }
  t.match(await readFile(output, 'utf8'), /^kind,task,form,.*\n(form|level),face_detection,base64,/)
})

t.test('options that are wrong are refused', async (t) => {
  const refused = async (code: number, message: RegExp, ...args: string[]): Promise<void> => {
    t.match(await runCli('bench', 'serve', ...args), { code, stderr: message }, args.join(' '))
  }
  await refused(2, /start:end:step/, '--concurrency-range', '4:1')
  await refused(2, /duration from 3s/, '--soak', '30')
  await refused(1, /the bench starts.*BAD_OPTION/s, '--soak', '3s', '--url', 'http://127.0.0.1:1')
  await refused(2, /cannot be used/, '--concurrency-range', '1', '--request-rate-range', '5')
  await refused(2, /face_detection/, '--task', 'face_alignment')
  await refused(1, /loopback.*BAD_OPTION/s, '--url', 'http://192.0.2.1:5500')
  await refused(1, /did not answer.*NODE_UNREACHABLE/s, '--url', 'http://127.0.0.1:1')
})

t.test('compared with a Flask server: the same faces, then both under load in turns', async (t) => {
  const output = join(t.testdir(), 'serve.json')
  const { code, stdout, stderr } = await runCli(
    'bench', 'serve', '--form', 'raw', '--concurrency-range', '2', ...QUICK, '--measurement-interval', '100',
    '--peer', 'flask', '--output', output,
  )
  t.equal(code, 0, stderr)
  t.match(stdout, /compared with Flask \(Flask [\d.]+, OpenCV [\d.]+\), in turns/)
  t.match(stdout, /Both found [2-9] objects.*the least IoU is 0\.[89]/)
  t.match(stdout, /requests\/s at saturation ≥ 3 × Flask .*\(bytes-literal\) +[\d.]+ +(holds|missed)/)
  const rows = (await rowsOf(output)).filter(({ kind }) => kind === 'beside') as (Row & {
    peer_requests_per_second: number
  })[]
  t.same(rows.map(({ form }) => form), ['bytes-literal', 'raw'])
  for (const row of rows) t.ok(row.requests_per_second > 0 && row.peer_requests_per_second > 0)
})
