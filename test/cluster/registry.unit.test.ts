/** What a cloud knows of its nodes, and for how long, by a clock of the test's own. */
import t from 'tap'
import { idOf } from '../../lib/cluster/address.js'
import { ClusterRegistry } from '../../lib/cluster/registry.js'
import { parseHeartbeat } from '../../lib/cluster/heartbeat.js'
import type { NodeRole, NodeStatus, NodeView } from '../../lib/cluster/types.js'

const DEVICE = {
  cpu_ratio: [10, 30], n_cpu: 2, mem_ratio: 25, mem_total: 4, 'net_ratio(MBps)': 0.5, swap_ratio: 0,
  gpu_mem: {}, gpu_utilization: {}, gpu_mem_total: {},
}
const status = (...tasks: string[]): NodeStatus => ({
  device_state: DEVICE,
  service_state: Object.fromEntries(tasks.map((task) => [task, { cpu_util_limit: 1, mem_util_limit: 1, workers: [] }])),
})

class Fixture {
  now = 0
  own = status('face_detection')
  readonly registry: ClusterRegistry

  constructor(role: NodeRole = 'cloud') {
    this.registry = new ClusterRegistry({
      self: { ip: '10.0.0.1', port: 5500, scheme: 'http', role }, readSelf: () => this.own, now: () => this.now,
    })
  }

  /** Time goes by in steps in which the process runs. */
  pass(milliseconds: number): void {
    for (let left = milliseconds; left > 0; left -= 500) {
      this.now += Math.min(500, left)
      this.registry.services()
    }
  }

  heartbeat(ip: string, { port = 5500, from = ip, instance, tasks = ['car_detection'] }:
  { port?: number; from?: string; instance?: string; tasks?: string[] } = {}): boolean {
    const report = { kind: 'beat', from, instance, intervalMs: 1000, status: status(...tasks) } as const
    return this.registry.recordReport({ ip, port, scheme: 'http' }, report).joined
  }

  get info(): Record<string, object> {
    return JSON.parse(this.registry.clusterInfoJson().toString()) as Record<string, object>
  }

  get keys(): string[] {
    return Object.keys(this.info)
  }

  get nodes(): NodeView[] {
    return JSON.parse(this.registry.nodesJson().toString()) as NodeView[]
  }
}

t.test('a node that missed three heartbeats is left out, not forgotten; the next brings it back', async (t) => {
  const cluster = new Fixture()
  t.ok(cluster.heartbeat('10.0.0.2'))
  t.notOk(cluster.heartbeat('10.0.0.2'))
  cluster.pass(3000)
  t.same(cluster.keys, ['10.0.0.1', '10.0.0.2'])
  t.same(cluster.registry.services(), ['face_detection', 'car_detection'])
  cluster.pass(500)
  t.same(cluster.keys, ['10.0.0.1'])
  t.throws(() => cluster.registry.executeUrlsJson('car_detection'), { code: 'NO_WORKER' })
  t.match(cluster.nodes[1], { id: '10.0.0.2:5500', lost: true, age_ms: 3500, interval_ms: 1000 })
  t.ok(cluster.heartbeat('10.0.0.2'))
  t.same(cluster.keys, ['10.0.0.1', '10.0.0.2'])
  cluster.pass(25 * 3600 * 1000)
  t.equal(cluster.nodes.length, 1, 'forgotten after a day')
})

t.test('entries of /get_cluster_info have the older flat keys, too', async (t) => {
  const cluster = new Fixture()
  cluster.heartbeat('10.0.0.2')
  const flat = {
    cpu_ratio: 20, n_cpu: 2, mem_total: 4, mem_ratio: 25, swap_ratio: 0, 'net_ratio(MBps)': 0.5,
    gpu_mem_utilization: {}, gpu_compute_utilization: {}, gpu_mem_total: {},
  }
  t.same(cluster.info, {
    '10.0.0.1': { node_role: 'cloud', ...flat, ...status('face_detection') },
    '10.0.0.2': { node_role: 'host', ...flat, ...status('car_detection') },
  })
})

t.test('no node is lost because the cloud was frozen', async (t) => {
  const cluster = new Fixture()
  cluster.heartbeat('10.0.0.2')
  cluster.now += 60_000
  t.same(cluster.keys, ['10.0.0.1', '10.0.0.2'])
  cluster.pass(3500)
  t.same(cluster.keys, ['10.0.0.1'])
})

t.test('an address belongs to the node that has it', async (t) => {
  const cluster = new Fixture()
  cluster.heartbeat('10.0.0.2', { instance: 'first-one' })
  t.throws(() => cluster.heartbeat('10.0.0.2', { from: '10.0.0.66' }), { code: 'ADDRESS_TAKEN' })
  t.throws(() => cluster.heartbeat('10.0.0.1', { from: '10.0.0.66' }), { code: 'ADDRESS_TAKEN' }, 'nor the cloud’s own')
  t.notOk(cluster.registry.deregister({ ip: '10.0.0.2', port: 5500 }, { from: '10.0.0.66' }))
  t.notOk(
    cluster.heartbeat('10.0.0.2', { from: '10.0.1.2', instance: 'first-one' }), 'by another of its own interfaces',
  )
  cluster.pass(3500)
  t.ok(cluster.heartbeat('10.0.0.2', { from: '10.0.0.66' }), 'until it is lost')
  t.ok(cluster.registry.deregister({ ip: '10.0.0.2', port: 5500 }, { from: '10.0.0.66' }))
  t.same(cluster.keys, ['10.0.0.1'])
})

t.test('keys and URLs: two on one IP, IPv6', async (t) => {
  const cluster = new Fixture()
  cluster.heartbeat('10.0.0.2', { port: 1 })
  cluster.heartbeat('10.0.0.2', { port: 2 })
  cluster.heartbeat('fd00::2')
  t.same(cluster.keys, ['10.0.0.1', '10.0.0.2:1', '10.0.0.2:2', 'fd00::2'])
  t.match(JSON.parse(cluster.registry.executeUrlsJson('car_detection').toString()), {
    '10.0.0.2:1': { url: 'http://10.0.0.2:1/execute_task/car_detection', cpu: 0.8, mem: 0.75, bandwidth: 0.5, n_cpu: 2 },
    '[fd00::2]:5500': { url: 'http://[fd00::2]:5500/execute_task/car_detection' },
  })
  t.equal(idOf({ ip: 'fd00::2', port: 5 }), '[fd00::2]:5')
})

t.test('a flood of new nodes removes lost ones only', async (t) => {
  const cluster = new Fixture()
  const ip = (number: number): string => `10.1.${number >> 8}.${number & 255}`
  for (let number = 0; number < 2000; number++) cluster.heartbeat(ip(number))
  t.throws(() => cluster.heartbeat('10.9.9.9'), { code: 'CLUSTER_FULL' })
  cluster.pass(2000)
  for (let number = 1; number < 2000; number++) cluster.heartbeat(ip(number))
  cluster.pass(1500)
  t.ok(cluster.heartbeat('10.9.9.9'))
  t.notOk(cluster.nodes.some((node) => node.ip === ip(0)))
})

t.test('what a heartbeat claims is clamped', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`task_${index}`, {}]))
  const heartbeat = parseHeartbeat({
    ip: '10.0.0.2', port: 5500, interval_ms: 1e12,
    device_state: { cpu_ratio: [-5, 'x', 1e9, null], mem_ratio: '1', n_cpu: 1e9, gpu_mem: [] },
    service_state: {
      '../etc': {}, '__proto__': {}, a: null,
      b: {
        cpu_util_limit: 7, workers: [5, { pid: 1.5, model: '\u001b[2Jm'.repeat(100), p50_ms: 'fast', task_to_do: -1 }],
      }, ...many,
    },
  })
  t.match(heartbeat, { scheme: 'http', interval_ms: 60_000, instance: undefined })
  t.match(heartbeat.device_state, { cpu_ratio: [0, 100], mem_ratio: 0, n_cpu: 4096 })
  t.equal(Object.keys(heartbeat.service_state).length, 64)
  t.match(
    heartbeat.service_state.b,
    { cpu_util_limit: 1, workers: [{ pid: 2, p50_ms: null, task_to_do: 0, cpu_util_limit: 1 }] },
  )
  const model = heartbeat.service_state.b?.workers[0]?.model ?? ''
  t.ok(model.startsWith('[2Jm') && model.length <= 128)
  const good = { port: 1, device_state: DEVICE }
  const wrongs: [unknown, RegExp][] = [
    [null, /Expected an object for the body but received null/],
    [[], /Expected an object for the body but received \[\]/],
    [{ ...good, port: 0 }, /Expected a whole number from 1 to 65535 for port but received 0 of type number/],
    [{ ...good, port: '1' }, /for port but received "1" of type string/],
    [{ ...good, ip: 'evil.example/x' }, /Expected an IP address for ip but received "evil.example\/x"/],
    [{ ...good, instance: 5 }, /Expected a text of 8 to 64 characters for instance but received 5/],
    [{ ...good, scheme: 'gopher' }, /Expected one of http, https for scheme but received "gopher"/],
    [{ port: 1 }, /Expected device_state as in the interface document but received undefined/],
    [{ ...good, device_state: { cpu_ratio: 'no' } }, /Expected device_state as .* of type object/],
  ]
  for (const [wrong, message] of wrongs) {
    t.throws(() => parseHeartbeat(wrong), { code: 'BAD_REQUEST', message }, JSON.stringify(wrong))
  }
  t.equal(parseHeartbeat({ ...good, instance: 'host-7.example' }).instance, 'host-7.example')
  for (const ip of ['10.0.0.2', 'fd00::2', '::ffff:10.0.0.7', null]) {
    t.equal(parseHeartbeat({ ...good, ip }).ip, ip ?? undefined)
  }
})
