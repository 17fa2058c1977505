/** One cluster of real processes through everything that happens to it. */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { EdgeInferClient } from '../../lib/client/index.js'
import { resolveSample } from '../../lib/models/index.js'
import { spawnCli, finished } from '../cli/run.js'
import {
  clusterInfo, eventually, getJson, HEARTBEAT_MS, members, NodeProcess, nodesOf, startHost, systemStatus, urlsOf, wait,
} from './nodes.js'

const CLOUD = '127.0.0.1'
const PORT = 5610
const FACES = readFileSync(await resolveSample('faces'))

const cloud = await NodeProcess.start(t, CLOUD, PORT)
const [second, third, twin] = await Promise.all([
  startHost(t, cloud, '127.0.0.2', PORT),
  startHost(t, cloud, '127.0.0.3', PORT),
  startHost(t, cloud, '127.0.0.3', PORT + 1),
])
const ALL = [CLOUD, '127.0.0.2', `127.0.0.3:${PORT}`, `127.0.0.3:${PORT + 1}`]

async function post(url: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  })
  return await response.json() as Record<string, unknown>
}

t.test('hosts join by themselves; two nodes on one IP are told apart; every documented key is there', async (t) => {
  const info = await members(t, 'all have joined', cloud, ...ALL)
  const status = await systemStatus(cloud)
  t.same(Object.keys(status), ['cloud', 'host'])
  t.same([Object.keys(status.cloud), Object.keys(status.host).sort()], [[CLOUD], ALL.slice(1)])
  for (const [key, node] of Object.entries(info)) {
    t.equal(node.node_role, key === CLOUD ? 'cloud' : 'host')
    const { device_state: device, service_state: services } = node
    t.match(device, {
      cpu_ratio: device.cpu_ratio.map(() => Number), mem_ratio: Number, mem_total: Number, 'net_ratio(MBps)': Number,
      swap_ratio: Number,
      gpu_mem: Object, gpu_utilization: Object,
    })
    t.equal(device.cpu_ratio.length, cpus().length, 'one entry a core')
    t.ok([...device.cpu_ratio, device.mem_ratio, device.swap_ratio].every((ratio) => ratio >= 0 && ratio <= 100))
    t.ok(device.mem_ratio > 0 && device.mem_total > 0.1)
    t.match(services, { face_detection: { cpu_util_limit: 1, mem_util_limit: 1, workers: [{
      pid: Number, model: /ultraface/, task_to_do: 0,
    }] } })
    process.kill(services.face_detection?.workers[0]?.pid as number, 0)
  }
  t.same(await getJson(`${cloud.url}/get_service_list`), ['face_detection'])
  const urls = await urlsOf(cloud)
  t.same(Object.keys(urls).sort(), [`${CLOUD}:${PORT}`, `127.0.0.2:${PORT}`, ...ALL.slice(2)])
  for (const [key, entry] of Object.entries(urls)) {
    t.match(entry, { url: `http://${key}/execute_task/face_detection`, bandwidth: Number, cpu: Number, mem: Number, n_cpu: cpus().length })
    const { cpu, mem } = entry as unknown as Record<string, number>
    t.ok(cpu! >= 0 && cpu! <= 1 && mem! > 0 && mem! < 1, `${cpu} ${mem}`)
  }
  t.same(await getJson(`${cloud.url}/get_resource_info`).then((body) => Object.keys(body as object)), ['cloud', 'host'])
  for (const route of ['get_client_status', 'update_client_status', 'update_server_status']) {
    t.match(await getJson(`${third.url}/${route}`), {
      cpu_ratio: Number, n_cpu: cpus().length, mem_total: Number, gpu_mem_utilization: {}, gpu_compute_utilization: {},
      device_state: { cpu_ratio: Array }, service_state: { face_detection: {} },
    })
  }
  for (const [task, code] of [['sudoku', 'UNKNOWN_TASK'], ['car_detection', 'NO_WORKER']] as const) {
    const response = await fetch(`${cloud.url}/get_execute_url/${task}`)
    t.equal(response.status, task === 'sudoku' ? 404 : 503)
    t.match(await response.json(), { error: { code } })
  }
})

t.test('a host answers for itself and names its cloud', async (t) => {
  t.same(Object.keys(await clusterInfo(second)), ['127.0.0.2'])
  t.match(await systemStatus(second), { cloud: {}, host: { '127.0.0.2': { device_state: {} } } })
  t.match(await getJson(`${second.url}/nodes`), { role: 'host', upstream: { cloud: cloud.url, standing: 'joined' } })
  t.match(await post(`${second.url}/cluster/heartbeat`, {}), { error: {
    code: 'BAD_REQUEST', message: new RegExp(cloud.url),
  } })
})

t.test('the reported load is true: a busy loop shows, a working worker shows, a limit on one host shows in the cloud',
  async (t) => {
    const loop = new Worker('for (;;) {}', { eval: true })
    await eventually(t, 'a core is busy', () => clusterInfo(cloud), (info) =>
      Math.max(...info['127.0.0.2']!.device_state.cpu_ratio) > 80)
    await loop.terminate()

    const pid = (await clusterInfo(cloud))['127.0.0.2']!.service_state.face_detection!.workers[0]!.pid
    let asking = true
    await using client = new EdgeInferClient(second.url)
    const work = (async () => {
      while (asking) await client.executeTask('face_detection', { image: FACES })
    })()
    const busy = await eventually(t, 'the worker is busy', () => clusterInfo(cloud), (info) => {
      const worker = info['127.0.0.2']!.service_state.face_detection!.workers[0]!
      return worker.pid === pid && worker.cpu_ratio > 5 && worker.p50_ms !== null && worker.task_to_do > 0
    })
    asking = false
    await work
    const worker = busy['127.0.0.2']!.service_state.face_detection!.workers[0]!
    t.ok(worker.p99_ms! >= worker.p50_ms! && worker.mem_ratio > 0)

    const limited = await post(`${third.url}/limit_task_resource`, { task_name: 'face_detection', cpu_util_limit: 0.5 })
    const expected = limited.limit_flag === true ? 0.5 : 1
    const own = (await clusterInfo(third))['127.0.0.3']!.service_state.face_detection!
    t.equal(own.cpu_util_limit, expected, 'its own answer shows it at once')
    await eventually(t, 'the cloud shows it', () => clusterInfo(cloud), (info) =>
      info[`127.0.0.3:${PORT}`]!.service_state.face_detection!.cpu_util_limit === expected)
    t.equal((await clusterInfo(cloud))[`127.0.0.3:${PORT + 1}`]!.service_state.face_detection!.cpu_util_limit, 1)
    const workerLimit = await post(`${third.url}/limit_process_resource`, {
      pid: own.workers[0]!.pid, cpu_util_limit: 0.25,
    })
    const held = workerLimit.limit_flag === true ? 0.25 : 1
    t.match((await clusterInfo(third))['127.0.0.3']!.service_state.face_detection, {
      cpu_util_limit: held, workers: [{ cpu_util_limit: held }],
    }, 'a service may use no more than its only worker')
    if (held < 1) await post(`${third.url}/limit_task_resource`, { task_name: 'face_detection', cpu_util_limit: 1 })
  })

t.test('edge-infer status draws it', async (t) => {
  const { stdout, code } = await finished(spawnCli(['status', cloud.url]))
  t.equal(code, 0)
  t.match(stdout, /cloud .*: 4 nodes, 4 workers/)
  for (const key of ALL) t.match(stdout, new RegExp(`^${key}  +(cloud|host) `, 'm'))
  t.notMatch(stdout, /\x1b/, 'no colours where nobody looks')
  t.ok(stdout.split('\n').every((line) => line.length <= 80))
})

t.test('a crash: calls fail over, the node is left out after three heartbeats, and is back when it is', async (t) => {
  await using client = EdgeInferClient.cluster(cloud.url, { policy: 'round-robin', timeoutMs: 30_000 })
  const served = new Set<string>()
  const run = async (): Promise<void> => {
    const { proc_resource_info: { device_ip: ip, all_latency: all, compute_latency: compute } } =
      await client.executeTask('face_detection', { image: FACES })
    served.add(ip)
    if (all < compute) t.fail('the round trip is no shorter than the work')
  }
  for (let call = 0; call < 8; call++) await run()
  t.same([...served].sort(), [CLOUD, '127.0.0.2', '127.0.0.3'])

  await second.end('SIGKILL')
  served.clear()
  for (let call = 0; call < 6; call++) await run()
  t.notOk(served.has('127.0.0.2'))
  await members(t, 'left out', cloud, ...ALL.filter((key) => key !== '127.0.0.2'))
  t.notOk(`127.0.0.2:${PORT}` in await urlsOf(cloud))
  t.match((await nodesOf(cloud)).find(({ ip }) => ip === '127.0.0.2'), {
    lost: true, kind: 'beat', key: `127.0.0.2:${PORT}`,
  })
  t.match((await finished(spawnCli(['status', cloud.url]))).stdout, /4 nodes|3 nodes, 1 lost/)

  await second.restart()
  await members(t, 'back', cloud, ...ALL)
})

t.test('a frozen node is left out; nothing waits for it', async (t) => {
  twin.signal('SIGSTOP')
  await members(t, 'left out; the other on its IP is keyed by that', cloud, CLOUD, '127.0.0.2', '127.0.0.3')
  const begin = performance.now()
  for (let call = 0; call < 20; call++) await systemStatus(cloud)
  t.ok(performance.now() - begin < 20_000)
  twin.signal('SIGCONT')
  await members(t, 'back', cloud, ...ALL)
})

t.test('a frozen cloud does not take its hosts for lost', async (t) => {
  cloud.signal('SIGSTOP')
  await wait(8 * HEARTBEAT_MS)
  const asked = nodesOf(cloud)
  cloud.signal('SIGCONT')
  t.ok((await asked).every(({ lost }) => !lost))
  await members(t, 'all there', cloud, ...ALL)
})

t.test('a host that stops leaves at once', async (t) => {
  t.equal(await twin.end('SIGTERM'), 0)
  t.notOk((await nodesOf(cloud)).some(({ port }) => port === PORT + 1), 'it is not even lost')
})

t.test('the cloud restarts: hosts join again', async (t) => {
  await cloud.end('SIGKILL')
  const answer = await post(`${second.url}/execute_task/face_detection`, { image: FACES.toString('base64') })
  t.equal(answer.execute_flag, true, 'hosts work on')
  await cloud.restart()
  await members(t, 'all there', cloud, CLOUD, '127.0.0.2', '127.0.0.3')
})
