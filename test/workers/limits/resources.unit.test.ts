import { readFileSync } from 'node:fs'
import t from 'tap'
import type { NodeCapacity } from '../../../lib/host/index.js'
import { CONTROLLER_NEEDS } from '../../../lib/workers/limits/index.js'
import { LIMIT_MEMBERS, limitsReader } from '../../../lib/workers/limits/schemas.js'
import { repositoryPath } from '../../helpers/shared.js'

const capacity: NodeCapacity = { cores: 4, memoryBytes: 8 * 2 ** 30, cpus: [0, 1, 2, 3], memoryNodes: [0] }
const read = limitsReader(capacity)

t.test('takes every documented key, the alias, and whole dictionaries', async (t) => {
  const body = {
    pid: 7, task_name: 'face_detection', bbox: [],
    cpu_util_limit: 0.45, mem_limit: 0.4, cpu_set_cpus: [1, 0], cpu_set_mems: [0],
  }
  t.strictSame(read(body), {
    cpuUtilLimit: 0.45, memUtilLimit: 0.4, cpuSetCpus: [1, 0], cpuSetMems: [0],
  })
  t.strictSame(read({ mem_util_limit: 1 }), { memUtilLimit: 1 })
  t.strictSame(read({ mem_util_limit: 0.5, mem_limit: 0.5 }), { memUtilLimit: 0.5 })
})

t.test('refuses every wrong value with what was expected and what was received', async (t) => {
  const ids = 'a non-empty list of different ids out of'
  const share = (received: string): string =>
    `1 (the kernel can hold no less than 0.00025 here) for cpu_util_limit but received ${received}`
  const wrong: [Record<string, unknown>, string][] = [
    [{ task_name: 'x' },
      `Expected at least one of ${Object.keys(LIMIT_MEMBERS).join(', ')} but received none`],
    [{ cpu_util_limit: 0 }, `Expected a number above 0 and at most ${share('0 of type number')}`],
    [{ cpu_util_limit: -0.5 }, share('-0.5 of type number')],
    [{ cpu_util_limit: 1.5 }, share('1.5 of type number')],
    [{ cpu_util_limit: NaN }, share('NaN of type number')],
    [{ cpu_util_limit: '0.5' }, share('"0.5" of type string')],
    [{ cpu_util_limit: null }, share('null')],
    [{ cpu_util_limit: true }, share('true of type boolean')],
    [{ cpu_util_limit: 1e-9 }, share('1e-9 of type number')],
    [{ cpu_util_limit: 0.5, mem_limit: [0.5] },
      'Expected a number above 0 and at most 1 for mem_limit but received [0.5]'],
    [{ mem_util_limit: 2 }, 'Expected a number above 0 and at most 1 for mem_util_limit but received 2 of type number'],
    [{ mem_limit: 0.5, mem_util_limit: 0.4 },
      'Expected mem_limit to be the same as its alias mem_util_limit, 0.4, but received 0.5 of type number'],
    [{ cpu_set_cpus: [] }, `Expected ${ids} [0,1,2,3] for cpu_set_cpus but received []`],
    [{ cpu_set_cpus: [0, 0] }, `${ids} [0,1,2,3] for cpu_set_cpus but received [0,0]`],
    [{ cpu_set_cpus: [0, 4] }, 'Expected one of 0, 1, 2, 3 for cpu_set_cpus[1] but received 4 of type number'],
    [{ cpu_set_cpus: ['0'] }, 'for cpu_set_cpus[0] but received "0" of type string'],
    [{ cpu_set_cpus: '0-1' }, `${ids} [0,1,2,3] for cpu_set_cpus but received "0-1" of type string`],
    [{ cpu_set_mems: [1] }, 'Expected one of 0 for cpu_set_mems[0] but received 1 of type number'],
  ]
  for (const [body, message] of wrong) {
    let error: unknown
    try { read(body) } catch (thrown) { error = thrown }
    t.match(error, { code: 'BAD_LIMIT', status: 400 }, JSON.stringify(body).slice(0, 60))
    t.ok(error instanceof Error && error.message.includes(message), `${String(error)}\nsays ${message}`)
  }
})

t.test('the pages name every limit, and the service hands over what they need', async (t) => {
  const delegated = `Delegate=${CONTROLLER_NEEDS.map(({ controller }) => controller).join(' ')}`
  const text = (path: string): string => readFileSync(repositoryPath(path), 'utf8')
  for (const path of ['deploy/edge-infer.service', 'docs/deploy.md', 'docs/workers-and-limits.md']) {
    t.match(text(path), delegated, path)
  }
  for (const name of Object.keys(LIMIT_MEMBERS)) t.match(text('docs/http-interface.md'), `\`${name}\``)
})
