import t from 'tap'
import { parseDeviceState, toFlatStatus, type DeviceState } from '../../lib/host/index.js'

const state: DeviceState = {
  cpu_ratio: [20, 40],
  n_cpu: 2,
  mem_ratio: 5.4,
  mem_total: 15.5,
  'net_ratio(MBps)': 0.318,
  swap_ratio: 1,
  gpu_mem: { 0: 0.0128, 1: 0.5 },
  gpu_utilization: { 0: 7, 1: 8 },
  gpu_mem_total: { 0: 24, 1: 24 },
}

t.test('an old node\'s flat status becomes the document\'s shape', async t => {
  const wire: unknown = JSON.parse(JSON.stringify(toFlatStatus(state)))
  t.strictSame(parseDeviceState(wire), { ...state, cpu_ratio: [30] })
  t.strictSame(parseDeviceState(JSON.parse(JSON.stringify(state))), state)
  const { gpu_mem, gpu_utilization, ...others } = state
  const told = { ...others, gpu_mem_utilization: gpu_mem, gpu_compute_utilization: gpu_utilization }
  t.strictSame(parseDeviceState(told), state, 'nodes of 2024 name only the figures of GPUs in the older way')
})

t.test('a status that lies or lacks keys harms nobody', async t => {
  for (const nothing of [undefined, null, 1, 'x', [], {}, { cpu_ratio: 'high' }, { cpu_ratio: [], mem_ratio: NaN }]) {
    t.equal(parseDeviceState(nothing), undefined)
  }
  t.strictSame(parseDeviceState({ cpu_ratio: 12 }), {
    cpu_ratio: [12], n_cpu: 1, mem_ratio: 0, mem_total: 0, 'net_ratio(MBps)': 0, swap_ratio: 0,
    gpu_mem: {}, gpu_utilization: {}, gpu_mem_total: {},
  })
  const lie = JSON.parse(`{"cpu_ratio": ${JSON.stringify(new Array(1e5).fill(1e300))}, "n_cpu": -4, "mem_ratio": -1,
    "mem_total": {"a": 1}, "net_ratio(MBps)": 1e999, "swap_ratio": "5", "gpu_mem_utilization": [1, 2],
    "gpu_compute_utilization": {"__proto__": 5, "0": 900, "1": "x", "junk": 3}, "gpu_mem_total": null}`) as unknown
  const heard = parseDeviceState(lie)
  t.equal(heard?.cpu_ratio.length, 4096)
  t.match(heard, {
    n_cpu: 4096, mem_ratio: 0, mem_total: 0, 'net_ratio(MBps)': 0, swap_ratio: 0, gpu_mem: {}, gpu_mem_total: {},
  })
  t.equal(heard?.cpu_ratio[0], 100)
  t.strictSame(heard?.gpu_utilization, { 0: 100 })
})
