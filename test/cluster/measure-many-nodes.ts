/**
 * A real cloud and 500 nodes that only send heartbeats, each from an address and a connection of its own, for as long
 * as measured:
 * `node dist/test/cluster/measure-many-nodes.js [nodes] [seconds]`. Writes Markdown for docs/cluster.md.
 */
import { Agent, request } from 'node:http'
import { readFileSync } from 'node:fs'
import { spawnCli } from '../cli/run.js'
import { getJson, wait } from './nodes.js'

export const ROUTES = [
  '/get_service_list', '/get_execute_url/face_detection', '/get_system_status', '/get_cluster_info',
  '/get_resource_info', '/nodes',
] as const

/** User and system time so far, and resident memory: seconds, bytes. */
export function costOf(pid: number): { cpuSeconds: number; rssBytes: number } {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, rssBytes: Number(fields[21]) * 4096 }
}

const worker = (pid: number): object => ({
  pid, model: 'ultraface-rfb-320', cpu_util_limit: 0.5, mem_util_limit: 1, cpu_ratio: 12.34, mem_ratio: 2.56,
  task_to_do: 1, p50_ms: 12.3,
  p99_ms: 45.6,
})

/** Four cores, a GPU, two tasks, three workers. */
function beatOf(ip: string, intervalMs: number): string {
  const ratio = (): number => Math.round(Math.random() * 1000) / 10
  return JSON.stringify({
    ip, port: 5500, scheme: 'http', instance: `simulated-${ip}`, interval_ms: intervalMs,
    device_state: {
      cpu_ratio: [ratio(), ratio(), ratio(), ratio()], n_cpu: 4, mem_ratio: ratio(), mem_total: 7.63,
      'net_ratio(MBps)': 1.234,
      swap_ratio: 0, gpu_mem: { 0: 0.4321 }, gpu_utilization: { 0: 12 }, gpu_mem_total: { 0: 7.63 },
    },
    service_state: {
      face_detection: { cpu_util_limit: 0.5, mem_util_limit: 1, workers: [worker(1001), worker(1002)] },
      car_detection: { cpu_util_limit: 1, mem_util_limit: 1, workers: [worker(1003)] },
    },
  })
}

/** `count` nodes send heartbeats until the returned function is called; resolves when each has sent one. */
export async function simulateNodes(cloudUrl: string, count: number, intervalMs: number): Promise<() => void> {
  const agents: Agent[] = []
  const timers: NodeJS.Timeout[] = []
  await Promise.all(Array.from({ length: count }, async (_, index) => {
    const ip = `127.1.${index >> 8}.${index & 255}`
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    agents.push(agent)
    const sendHeartbeat = (): Promise<void> => new Promise((resolve) => {
      const body = beatOf(ip, intervalMs)
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const sent = request(`${cloudUrl}/cluster/heartbeat`, {
        method: 'POST', agent, localAddress: ip, headers,
      }, (response) => {
        response.resume().on('end', resolve)
      })
      sent.on('error', () => resolve()).end(body)
    })
    await wait(Math.random() * intervalMs)
    await sendHeartbeat()
    timers.push(setInterval(() => void sendHeartbeat(), intervalMs))
  }))
  return () => {
    timers.forEach(clearInterval)
    agents.forEach((agent) => agent.destroy())
  }
}

async function main(count: number, seconds: number): Promise<void> {
  const port = 5690
  const url = `http://127.0.0.1:${port}`
  const child = spawnCli(
    [
      'serve', '--host', '127.0.0.1', '--port', String(port), '--task', 'face_detection=1', '--threads', '1',
      '--log-level', 'warn',
    ],
  )
  child.stdout.resume()
  child.stderr.resume()
  const pid = child.pid as number
  try {
    for (let up = false; !up; await wait(100)) up = await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)
    await wait(2000)
    const idle = await measure(pid, seconds)
    const stop = await simulateNodes(url, count, 2000)
    await wait(4000)
    const loaded = await measure(pid, seconds)
    console.log(`nodes ${count + 1}, heartbeats a second ${count / 2}`)
    console.log(
      `alone: cpu ${(idle.cpu * 100).toFixed(1)} % of a core, ` +
        `memory ${(idle.rssBytes / 2 ** 20).toFixed(0)} MiB`,
    )
    console.log(
      `with them: cpu ${(loaded.cpu * 100).toFixed(1)} % of a core, ` +
        `memory ${(loaded.rssBytes / 2 ** 20).toFixed(0)} MiB`,
    )
    console.log('| route | bytes | p50 ms | p99 ms | CPU of the cloud, ms an answer |\n|---|---|---|---|---|')
    for (const route of ROUTES) console.log(await measureRoute(url + route, route, pid, loaded.cpu))
    const info = await getJson<object>(`${url}/get_cluster_info`)
    console.log(`in the cluster at the end: ${Object.keys(info).length}`)
    stop()
  } finally {
    child.kill('SIGTERM')
  }
}

/** `cpu`: seconds a second. */
async function measure(pid: number, seconds: number): Promise<{ cpu: number; rssBytes: number }> {
  const before = costOf(pid)
  await wait(seconds * 1000)
  const after = costOf(pid)
  return { cpu: (after.cpuSeconds - before.cpuSeconds) / seconds, rssBytes: after.rssBytes }
}

async function measureRoute(url: string, route: string, pid: number, background: number): Promise<string> {
  const times: number[] = []
  let bytes = 0
  const before = costOf(pid).cpuSeconds
  const begin = performance.now()
  for (let call = 0; call < 200; call++) {
    const start = performance.now()
    bytes = (await (await fetch(url)).arrayBuffer()).byteLength
    times.push(performance.now() - start)
    await wait(25)
  }
  const elapsed = (performance.now() - begin) / 1000
  const cpuMs = Math.max(0, (costOf(pid).cpuSeconds - before - background * elapsed) / 200 * 1000)
  times.sort((a, b) => a - b)
  return `| \`${route}\` | ${bytes} | ${times[100]!.toFixed(1)} | ${times[198]!.toFixed(1)} | ${cpuMs.toFixed(1)} |`
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await main(Number(process.argv[2] ?? 500), Number(process.argv[3] ?? 10))
}
