import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { post, sample, startServer } from './server.js'

/** The value of a sample, by its name and labels in any order. */
function read(text: string, name: string, labels: Record<string, string>): number | undefined {
  for (const line of text.split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match?.[1] !== name) continue
    if (Object.entries(labels).every(([key, value]) => match[2]?.includes(`${key}="${value}"`))) return Number(match[3])
  }
  return undefined
}

const scrape = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text()

t.test('what Prometheus reads is what happened', async (t) => {
  const { url, workers } = await startServer(t, { tasks: { face_detection: { workers: 1 } } })
  const picture = await sample('faces')
  for (let sent = 0; sent < 3; sent += 1) {
    t.equal((await post(`${url}/execute_task/face_detection`, picture, { 'content-type': 'image/jpeg' })).status, 200)
  }
  t.equal((await post(`${url}/execute_task/face_detection`, picture.subarray(0, 900), {
    'content-type': 'image/jpeg',
  })).status, 400)

  const answer = await fetch(`${url}/metrics`)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  const before = await answer.text()
  const task = 'face_detection'
  const requests = 'edge_infer_request_duration_seconds'
  t.equal(read(before, `${requests}_count`, { task, route: 'execute_task', status: '200' }), 3)
  t.equal(read(before, `${requests}_count`, { task, route: 'execute_task', status: '400' }), 1)
  for (const stage of ['decode', 'preprocess', 'inference', 'postprocess', 'encode']) {
    t.equal(read(before, 'edge_infer_stage_duration_seconds_count', { task, stage }), 3, stage)
  }
  const inference = read(before, 'edge_infer_stage_duration_seconds_sum', { task, stage: 'inference' }) ?? 0
  t.ok(inference > 0 && inference < (read(before, `${requests}_sum`, { task, status: '200' }) ?? 0),
    'seconds, a part of the whole')

  const pid = workers.workers()[0]?.pid as number
  const of = { task, pid: String(pid) }
  t.ok((read(before, 'edge_infer_worker_cpu_seconds', of) ?? 0) > 0)
  t.ok((read(before, 'edge_infer_worker_memory_bytes', of) ?? 0) > 2 ** 24)
  t.equal(read(before, 'edge_infer_worker_cpu_limit_ratio', of), 1)
  t.equal(read(before, 'edge_infer_workers', { task }), 1)
  t.equal(read(before, 'edge_infer_queue_requests', { task }), 0)
  t.equal(read(before, 'edge_infer_cluster_nodes', { role: 'cloud', lost: 'false' }), 1)

  process.kill(pid, 'SIGKILL')
  for (let tries = 0; tries < 300 && (workers.workers()[0]?.pid ?? pid) === pid; tries += 1) await sleep(100)
  const after = await scrape(url)
  t.equal(read(after, 'edge_infer_worker_restarts_total', { task, reason: 'SIGKILL' }), 1)
  t.equal(read(after, 'edge_infer_worker_memory_bytes', of), undefined, 'a worker that has gone leaves no figures')

  const dashboard = readFileSync(new URL('../../../deploy/grafana-dashboard.json', import.meta.url), 'utf8')
  const used = new Set([...dashboard.matchAll(/edge_infer_\w+/g)].map(([name]) => name.replace(
    /_(bucket|sum|count)$/, '',
  )))
  t.ok(used.size >= 8)
  for (const name of used) t.ok(after.includes(`# TYPE ${name} `), `${name} of the Grafana dashboard is there`)
})
