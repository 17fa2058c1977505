import t from 'tap'
import { drawCluster } from '../../lib/cli/status-view.js'
import type { ClusterView, NodeView } from '../../lib/cluster/index.js'
import { serve } from '../models/helpers.js'
import { runCli } from './run.js'

const worker = {
  pid: 4123456, model: 'ultraface-rfb-320', cpu_util_limit: 1, mem_util_limit: 1, cpu_ratio: 23.4, mem_ratio: 2.25,
  task_to_do: 0,
  p50_ms: 12.34, p99_ms: 441,
}

function node(
  ip: string, port: number, device: Partial<NodeView['device_state']>, rest: Partial<NodeView> = {},
): NodeView {
  return {
    id: `${ip}:${port}`, key: ip, ip, port, url: `http://${ip}:${port}`, role: 'host', kind: 'beat', interval_ms: 2000, age_ms: 400,
    lost: false, service_state: {}, ...rest,
    device_state: {
      cpu_ratio: [0, 0], n_cpu: 2, mem_ratio: 50, mem_total: 7.4, 'net_ratio(MBps)': 3.21, swap_ratio: 12, gpu_mem: {},
      gpu_utilization: {}, gpu_mem_total: {}, ...device,
    },
  }
}

const VIEW: ClusterView = {
  role: 'cloud',
  nodes: [
    node('192.168.100.100', 5500, { cpu_ratio: [100, 88] }, { role: 'cloud', kind: 'self', age_ms: 0 }),
    node('192.168.100.101', 5500, { gpu_mem: { 0: 0.43, 1: 0 }, gpu_utilization: { 0: 97, 1: 0 } }, {
      key: '192.168.100.101:5500',
      service_state: {
        helmet_detection: {
          cpu_util_limit: 0.5, mem_util_limit: 1,
          workers: [
            { ...worker, cpu_util_limit: 0.25, task_to_do: 12 }, { ...worker, pid: 7, p50_ms: null, p99_ms: null },
          ],
        },
        ['\x1b[2Jevil'.repeat(9)]: { cpu_util_limit: 1, mem_util_limit: 1, workers: [] },
      },
    }),
    node('192.168.100.102', 5501, {}, { kind: 'poll', lost: true, age_ms: 340_000 }),
  ],
}

t.test('drawn for 80 and for 120 columns', async (t) => {
  for (const columns of [80, 120]) {
    const text = drawCluster(VIEW, { url: 'http://192.168.100.100:5500', columns, colour: false })
    const lines = text.split('\n')
    t.ok(lines.every((line) => line.length <= columns), text)
    t.equal(lines[0], 'cloud http://192.168.100.100:5500: 2 nodes, 1 lost, 2 workers, 12 requests held')
    t.match(text, /^192\.168\.100\.100 .* cloud +itself +█+░* +94% .* 50%/m)
    t.match(text, /^192\.168\.100\.102 .* host\* +lost 6 min/m)
    t.match(text, columns === 80 ? / 97% \+1$/m : / 97% 43%m \+1$/m)
    t.match(text, /^ {2}helmet_detection ≤50% +4123456 +12 +23% +25% +2\.3% +- +12\.3 +441/m)
    t.match(text, /^ +7 +0 +23% +- +2\.3% +- +- +-/m)
    t.equal(columns === 120, text.includes('ultraface-rfb-320'))
    t.notMatch(text, /\x1b/)
  }
})

t.test('colours say what is near its end, and take no room', async (t) => {
  const options = { url: 'http://127.0.0.1', columns: 80 }
  const coloured = drawCluster(VIEW, { ...options, colour: true })
  t.match(coloured, /\x1b\[31m +█████░|\x1b\[31m +██████ +94%/)
  t.equal(coloured.replace(/\x1b\[[\d;]*m/g, '').replace(/ +$/gm, ''), drawCluster(VIEW, { ...options, colour: false }))
})

t.test('a host says how it stands with its cloud', async (t) => {
  const upstream = { cloud: 'http://10.0.0.1:5500', standing: 'refused' as const, reason: 'Expected a token' }
  const text = drawCluster({ role: 'host', upstream, nodes: VIEW.nodes.slice(1, 2) }, { url: 'http://127.0.0.1', columns: 80, colour: false })
  t.equal(text.split('\n')[1], 'of the cloud http://10.0.0.1:5500: refused (Expected a token)')
})

t.test('what a node does not tell is a dash', async (t) => {
  const { device_state: _, service_state: __, age_ms: ___, role: ____, ...told } = node('10.0.0.2', 5500, {})
  const services = { car_detection: { workers: [{}] }, face_detection: {} }
  const nodes = [
    { ...told, device_state: {}, service_state: services },
    { ...node('10.0.0.3', 5500, {}), device_state: { cpu_ratio: 7, gpu_mem: null, mem_ratio: null } },
  ]
  for (const columns of [80, 120]) {
    const text = drawCluster({ role: 'cloud', nodes } as unknown as ClusterView, {
      url: 'http://127.0.0.1', columns, colour: false,
    })
    t.match(text, columns === 80 ? /^10\.0\.0\.2( +-){6}$/m : /^10\.0\.0\.2( +-){9}$/m)
    t.match(text, /^10\.0\.0\.3 +host +0\.4 s +█*░+ +7% +-/m)
    t.match(text, columns === 80 ? /^ {2}car_detection( +-){8}$/m : /^ {2}car_detection( +-){9}$/m)
    t.match(text, /^ {2}face_detection +\?$/m)
  }
  const url = await serve(t, (_request, response) => response.end(JSON.stringify({ role: 'cloud', nodes })))
  t.match(await runCli('status', url), { code: 0, stderr: '', stdout: /^10\.0\.0\.2( +-){6}$/m })
})

t.test('nobody there, no URL', async (t) => {
  t.match(await runCli('status', 'http://127.0.0.8:1'), { code: 1, stderr: /No answer from http:\/\/127\.0\.0\.8:1: .*NODE_UNREACHABLE/ })
  t.match(await runCli('status', 'cloud'), { code: 1, stderr: /BAD_OPTION/ })
})
