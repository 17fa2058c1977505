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

const FLAT = {
  cpu_ratio: 37.5, n_cpu: 4, mem_total: 3.87, mem_ratio: 61.2, swap_ratio: 3, 'net_ratio(MBps)': 0.25,
  gpu_mem_utilization: { 0: 0.4 }, gpu_compute_utilization: { 0: 55 }, gpu_mem_total: { 0: 3.87 },
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
  t.equal((await startPython(t, 'old_edge.py', '127.0.0.7', String(EDGE_PORT), '127.0.0.1', '5620')).line, '200')
  const info = await members(t, 'the honest one is there', cloud, '127.0.0.1', '127.0.0.7')
  t.match(info['127.0.0.7'], {
    node_role: 'host',
    ...FLAT,
    device_state: {
      cpu_ratio: [37.5], n_cpu: 4, mem_total: 3.87, mem_ratio: 61.2, swap_ratio: 3, 'net_ratio(MBps)': 0.25,
      gpu_mem: { 0: 0.4 }, gpu_utilization: { 0: 55 },
    },
    service_state: { face_detection: { cpu_util_limit: 1, mem_util_limit: 1 }, car_detection: {} },
  })
  t.same(Object.keys(info['127.0.0.7']?.service_state ?? {}), ['face_detection', 'car_detection'], 'only those it has')
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

const TELLING_PORT = 5623

t.test('edges of 2024, which tell of themselves, in a new cloud', async (t) => {
  const cloud = await NodeProcess.start(
    t, '127.0.0.1', 5622, '--edge-port', String(TELLING_PORT), '--token', 'they-cannot-send-it', '--open-registration',
  )
  const startEdge = (ip: string, kind: string): ReturnType<typeof startPython> =>
    startPython(t, 'old_edge.py', ip, String(TELLING_PORT), '127.0.0.1', '5622', kind)
  const [edge, silent] = await Promise.all([
    startEdge('127.0.0.11', 'told'), startEdge('127.0.0.12', 'told-without-tasks'),
  ])
  t.same([edge.line, silent.line], ['200', '200'])
  const info = await members(t, 'both are there', cloud, '127.0.0.1', '127.0.0.11', '127.0.0.12')
  t.match(info['127.0.0.11'], {
    node_role: 'host',
    ...FLAT,
    device_state: {
      cpu_ratio: [50, 25, 37.5, 37.5], n_cpu: 4, mem_total: 3.87, mem_ratio: 61.2,
      gpu_mem: { 0: 0.4 }, gpu_utilization: { 0: 55 }, gpu_mem_total: { 0: 3.87 },
    },
    service_state: { face_alignment: { cpu_util_limit: 0.5, mem_util_limit: 0.25 } },
  })
  t.match((await systemStatus(cloud)).host, { '127.0.0.11': { device_state: { mem_ratio: 61.2 } }, '127.0.0.12': {} })
  t.same(Object.keys(await urlsOf(cloud, 'face_alignment')), [`127.0.0.11:${TELLING_PORT}`])
  await eventually(t, 'the one that names no tasks was asked for them', () => urlsOf(cloud, 'car_detection'), (urls) =>
    urls[`127.0.0.12:${TELLING_PORT}`]?.url === `http://127.0.0.12:${TELLING_PORT}/execute_task/car_detection`)
  t.same(await getJson(`${cloud.url}/get_service_list`), ['face_detection', 'face_alignment', 'car_detection'])
  t.same(await getJson(`${cloud.url}/get_server_service_info`), { service_info_list: [] })
  t.match((await nodesOf(cloud)).find(({ ip }) => ip === '127.0.0.11'), {
    kind: 'beat', interval_ms: 3000, lost: false,
  })

  const send = async (path: string, body: string): Promise<[number, unknown]> => {
    const response = await fetch(cloud.url + path, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body,
    })
    return [response.status, await response.json()]
  }
  const status = { device_state: { cpu_ratio: 1 }, service_state: {} }
  for (const [path, body, message] of [
    ['/register_edge', {}, 'Expected an IP address for device_ip but received none'],
    ['/register_edge', { device_ip: 'evil.example/x' }, /Expected an IP address for device_ip but received "evil/],
    ['/update_client_status', { device_ip: 5, device_status: status }, /an IP address for device_ip but received 5/],
    ['/update_client_status', { device_ip: '127.0.0.13' }, 'Expected an object for device_status but received none'],
    ['/update_client_status', { device_ip: '127.0.0.1', device_status: { device_state: [] } }, /device_state as/],
    ['/update_client_status', [], 'Expected a JSON object'],
  ] as const) {
    t.match(await send(path, JSON.stringify(body)), [400, { error: { code: 'BAD_REQUEST', message } }])
  }
  const huge = { device_ip: '127.0.0.13', device_status: { ...status, padding: 'x'.repeat(300_000) } }
  t.match(await send('/update_client_status', JSON.stringify(huge)), [413, { error: { code: 'TOO_LARGE' } }])
  const another = { device_ip: '127.0.0.11', device_status: status }
  t.match(await send('/update_client_status', JSON.stringify(another)), [401, { error: { code: 'UNAUTHORIZED' } }])

  await edge.end()
  await members(t, 'left out after three statuses that did not come', cloud, '127.0.0.1', '127.0.0.12')
  t.same(Object.keys(await urlsOf(cloud, 'car_detection')), [`127.0.0.12:${TELLING_PORT}`], 'its tasks are kept')
  await startEdge('127.0.0.11', 'told')
  await members(t, 'back', cloud, '127.0.0.1', '127.0.0.11', '127.0.0.12')
})

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

t.test('our host in a cloud of 2024, which is told', async (t) => {
  const cloud = await startPython(t, 'old_cloud.py', '127.0.0.1', '5632', 'told')
  const host = await startHost(t, 'http://127.0.0.1:5632', '127.0.0.2', 5633)
  interface Told { registrations: string[]; host: Record<string, { told: number; services: object }> }
  const known = (): Promise<Told> => getJson<Told>('http://127.0.0.1:5632').catch(() => ({ registrations: [], host: {} }))
  const heard = await eventually(t, 'it is told the status, again and again', known, ({ host: edges }) =>
    (edges['127.0.0.2']?.told ?? 0) >= 2)
  t.match(heard, {
    registrations: ['127.0.0.2'],
    host: {
      '127.0.0.2': {
        cpu_ratio: Array, mem_ratio: Number, gpu_mem_utilization: {}, gpu_compute_utilization: {},
        services: { face_detection: [1, 1] },
      },
    },
  })
  t.match(await getJson(`${host.url}/nodes`), { upstream: { standing: 'registered with an older cloud' } })
  await cloud.end()
  await eventually(t, 'the cloud is missed', () => getJson(`${host.url}/nodes`), (nodes) =>
    (nodes as { upstream: { standing: string } }).upstream.standing === 'unreachable')
  await startPython(t, 'old_cloud.py', '127.0.0.1', '5632', 'told')
  const again = await eventually(t, 'registered again', known, ({ host: edges }) => '127.0.0.2' in edges)
  t.same(again.registrations, ['127.0.0.2'])
})
