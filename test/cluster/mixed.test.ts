/** Nodes of the older kind, written in Python, beside ours; and nodes that lie. */
import { request } from 'node:http'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import {
  clusterInfo, eventually, getJson, members, NodeProcess, nodesOf, startHost, startPython, systemStatus, urlsOf,
} from './nodes.js'

const EDGE_PORT = 5621

/** GET from an address of the test's choice. */
function getFrom(localAddress: string, url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { localAddress, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
    }).on('error', reject).end()
  })
}

/** Answers whatever comes in by `answer`, without a thought for HTTP. */
async function startLiar(t: Test, ip: string, answer: (socket: Socket) => void): Promise<{ asked: number }> {
  const liar = { asked: 0 }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('data', () => {
      liar.asked++
      answer(socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(EDGE_PORT, ip, resolve))
  t.teardown(() => {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  })
  return liar
}

const reply = (body: string) => (socket: Socket): void => {
  socket.end(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}

function flood(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n["')
  const more = (): void => {
    while (!socket.destroyed && socket.write('x'.repeat(65_536)));
    if (!socket.destroyed) socket.once('drain', more)
  }
  more()
}

function drip(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n')
  const timer = setInterval(() => socket.write(' '), 200)
  socket.on('close', () => clearInterval(timer))
}

t.test('an older edge in a new cloud, among nodes that send nonsense', async (t) => {
  const cloud = await NodeProcess.start(
    t, '127.0.0.1', 5620, '--edge-port', String(EDGE_PORT), '--edge-poll-interval', '1000',
  )
  const liars = await Promise.all(([
    ['127.0.0.4', reply('{"cpu_ratio": 3')],
    ['127.0.0.5', reply('{"cpu_ratio": "much", "mem_ratio": [1]}')],
    ['127.0.0.6', flood],
    ['127.0.0.8', drip],
    ['127.0.0.9', () => {}],
  ] as const).map(([ip, answer]) => startLiar(t, ip, answer)))
  for (const last of [4, 5, 6, 8, 9, 10]) {
    t.equal(await getFrom(`127.0.0.${last}`, `${cloud.url}/register_edge`), 200)
  }
  t.equal(await startPython(t, 'old_edge.py', '127.0.0.7', String(EDGE_PORT), '127.0.0.1', '5620'), '200')
  const info = await members(t, 'the honest one is there', cloud, '127.0.0.1', '127.0.0.7')
  t.match(info['127.0.0.7'], {
    node_role: 'host',
    device_state: {
      cpu_ratio: [37.5], n_cpu: 4, mem_total: 3.87, mem_ratio: 61.2, swap_ratio: 3, 'net_ratio(MBps)': 0.25,
      gpu_mem: { 0: 0.4 }, gpu_utilization: { 0: 55 },
    },
    service_state: { face_detection: { cpu_util_limit: 1, mem_util_limit: 1 }, car_detection: {} },
  })
  t.match((await systemStatus(cloud)).host, { '127.0.0.7': { device_state: { mem_ratio: 61.2 } } })
  t.same(await getJson(`${cloud.url}/get_service_list`), ['face_detection', 'car_detection'])
  t.match(await urlsOf(cloud, 'car_detection'), {
    [`127.0.0.7:${EDGE_PORT}`]: { url: `http://127.0.0.7:${EDGE_PORT}/execute_task/car_detection`, cpu: 0.625, mem: 0.388, bandwidth: 0.25 },
  })
  t.match((await nodesOf(cloud)).find(({ ip }) => ip === '127.0.0.7'), { kind: 'poll', lost: false })

  await eventually(t, 'all were asked, again and again', async () => liars.map(({ asked }) => asked), (asked) =>
    asked.slice(0, 3).every((times) => times >= 3) && asked.every((times) => times >= 1))
  const begin = performance.now()
  await getJson(`${cloud.url}/update_clients_status`)
  t.ok(performance.now() - begin < 10_000, 'it waits for none of them')
  t.same(Object.keys(await clusterInfo(cloud)), ['127.0.0.1', '127.0.0.7'])
  const { VmRSS = 0 } = await memoryOf(cloud.pid)
  t.ok(VmRSS < 400_000, `${VmRSS} kB`)
})

async function memoryOf(pid: number): Promise<Record<string, number>> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Object.fromEntries([...text.matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name, figure]) => [
    name, Number(figure),
  ]))
}

t.test('our host in an older cloud', async (t) => {
  await startPython(t, 'old_cloud.py', '127.0.0.1', '5630', '5631', '0.5')
  const cloud = { url: 'http://127.0.0.1:5630' }
  const host = await startHost(t, cloud.url, '127.0.0.2', 5631)
  await eventually(t, 'it is polled, by the address it listens on', () => getJson<{
    host: Record<string, object | null>
  }>(cloud.url),
  ({ host: edges }) => Boolean(edges['127.0.0.2']))
  const { host: edges } = await getJson<{ host: Record<string, Record<string, unknown>> }>(cloud.url)
  t.match(edges, { '127.0.0.2': { cpu_ratio: Number, n_cpu: Number, mem_ratio: Number, gpu_mem_utilization: {} } })
  t.same(Object.keys(edges), ['127.0.0.2'])
  t.match(await getJson(`${host.url}/nodes`), { upstream: { standing: 'registered with an older cloud' } })
})
