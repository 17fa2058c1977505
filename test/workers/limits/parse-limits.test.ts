import t from 'tap'
import { parseLimits, type NodeCapacity } from '../../../lib/workers/limits/index.js'

const capacity: NodeCapacity = { cores: 4, memoryBytes: 8 * 2 ** 30, cpus: [0, 1, 2, 3], memoryNodes: [0] }

t.test('takes every documented key, the alias, and whole dictionaries', async (t) => {
  const body = {
    pid: 7, task_name: 'face_detection', bbox: [],
    cpu_util_limit: 0.45, mem_limit: 0.4, cpu_set_cpus: [1, 0], cpu_set_mems: [0],
  }
  t.strictSame(parseLimits(body, capacity), {
    cpuUtilLimit: 0.45, memUtilLimit: 0.4, cpuSetCpus: [1, 0], cpuSetMems: [0],
  })
  t.strictSame(parseLimits({ mem_util_limit: 1 }, capacity), { memUtilLimit: 1 })
  t.strictSame(parseLimits({ mem_util_limit: 0.5, mem_limit: 0.5 }, capacity), { memUtilLimit: 0.5 })
})

t.test('refuses every wrong value with what was expected and what was received', async (t) => {
  const fraction = 'a number above 0 and at most 1 but received'
  const list = 'a non-empty list of different ids out of'
  const wrong: [Record<string, unknown>, string][] = [
    [{ task_name: 'x' }, 'Expected at least one of cpu_util_limit'],
    [{ cpu_util_limit: 0 }, `Expected cpu_util_limit to be ${fraction} 0 of type number`],
    [{ cpu_util_limit: -0.5 }, `${fraction} -0.5 of type number`],
    [{ cpu_util_limit: 1.5 }, `${fraction} 1.5 of type number`],
    [{ cpu_util_limit: NaN }, `${fraction} NaN of type number`],
    [{ cpu_util_limit: '0.5' }, `${fraction} "0.5" of type string`],
    [{ cpu_util_limit: null }, `${fraction} null`],
    [{ cpu_util_limit: true }, `${fraction} true of type boolean`],
    [{ cpu_util_limit: 1e-9 }, 'at least 0.00025, the least the kernel can hold here'],
    [{ cpu_util_limit: 0.5, mem_limit: [0.5] }, `Expected mem_limit to be ${fraction} [0.5]`],
    [{ mem_limit: 0.5, mem_util_limit: 0.4 }, 'the same as its alias mem_util_limit'],
    [{ cpu_set_cpus: [] }, `Expected cpu_set_cpus to be ${list} [0,1,2,3] but received []`],
    [{ cpu_set_cpus: [0, 0] }, list],
    [{ cpu_set_cpus: [0, 4] }, `${list} [0,1,2,3] but received [0,4]`],
    [{ cpu_set_cpus: ['0'] }, list],
    [{ cpu_set_cpus: '0-1' }, `${list} [0,1,2,3] but received "0-1" of type string`],
    [{ cpu_set_cpus: Array.from({ length: 1000 }, (_, i) => i) }, 'but received a list of 1000'],
    [{ cpu_set_mems: [1] }, `Expected cpu_set_mems to be ${list} [0] but received [1]`],
  ]
  for (const [body, message] of wrong) {
    let error: unknown
    try { parseLimits(body, capacity) } catch (thrown) { error = thrown }
    t.match(error, { code: 'BAD_LIMIT', status: 400 }, JSON.stringify(body).slice(0, 60))
    t.ok(error instanceof Error && error.message.includes(message), `${String(error)} says ${message}`)
  }
})
