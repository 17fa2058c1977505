/** The examples as their readers run them: processes of their own, against a real node on loopback. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { EdgeInferClient } from '../../lib/client/index.js'
import { resolveSample } from '../../lib/models/index.js'
import { finished, type CliResult } from '../cli/run.js'
import { noLimits } from '../helpers/limits.js'
import { repositoryPath } from '../helpers/shared.js'
import { startNode } from './node.js'

const LONGEST_MS = 180_000

const [faces, car] = await Promise.all([resolveSample('faces'), resolveSample('car')])
const directory = t.testdir()
const url = await startNode(t)

/** tap's hooks are kept out, as in `spawnCli`. */
function runExample(program: string, name: string, ...args: string[]): Promise<CliResult> {
  const file = repositoryPath('docs', 'examples', name)
  const child = spawn('env', ['-u', 'NODE_OPTIONS', program, file, ...args], {
    cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS, killSignal: 'SIGKILL',
  })
  return finished(child)
}

t.test('library.mjs finds the faces and draws them', { timeout: LONGEST_MS }, async (t) => {
  const { code, stdout, stderr } = await runExample(process.execPath, 'library.mjs', faces, 'drawn.jpg')
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^5 faces in .*(\n {2}\(\d+, \d+\)–\(\d+, \d+\) {2}score [01]\.\d\d {2}yaw -?\d+°.*){5}\nstages/)
  t.equal((await readFile(join(directory, 'drawn.jpg'))).readUInt16BE(0), 0xffd8)
})

t.test('caller.py runs a pipeline', { timeout: LONGEST_MS }, async (t) => {
  const { code, stdout, stderr } = await runExample('python3', 'caller.py', url, faces)
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^services: face_detection, face_alignment, car_detection\nface_detection: \d+ ms, /)
  t.match(stdout, /\n {2}5 faces, .*\nface_alignment: .*\n {2}4 of 5 look up(\n {2}\(.* degrees){5}\n$/)
})

t.test('curl.sh speaks to every kind of route', { timeout: LONGEST_MS }, async (t) => {
  const { code, stdout } = await runExample('bash', 'curl.sh', url, faces)
  t.equal(code, 0)
  const answers = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(answers, [
    ['face_detection', 'face_alignment', 'car_detection'],
    { execute_flag: true, bbox: { length: 5 } },
    { execute_flag: true, output_ctx_list: [{ bbox: { length: 5 } }, { bbox: { length: 5 } }] },
    { limit_flag: true, cpu_util_limit: 0.5 },
    { limit_flag: true, cpu_util_limit: 1 },
  ])
})

t.test('scheduler.mjs helps a starved task, and leaves the node as it was', {
  timeout: LONGEST_MS, skip: noLimits,
}, async (t) => {
  const { code, stdout, stderr } = await runExample(
    process.execPath, 'scheduler.mjs', url, car, '--seconds', '14', '--out', 'latency.svg',
  )
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^\d+\.\d s {2}(limit_task_resource 0\.15 → 0\.30|add_work_process: 1 → 2 workers) /)
  t.match(stdout, /^before .*: p50 \d+ ms/m)
  t.match(stdout, /^after .*\n2\.5 × .*\nhalf .*\ndrawn in latency\.svg$/m)

  const svg = await readFile(join(directory, 'latency.svg'), 'utf8')
  t.match(svg, /^<svg [^]*target 300 ms[^]*<polyline [^]*(limit_task_resource 0\.15|add_work_process)[^]*<\/svg>$/)
  t.notMatch(svg, /NaN|undefined|Infinity/)

  await using client = new EdgeInferClient(url)
  const [node] = Object.values(await client.getClusterInfo())
  t.match(node?.service_state.car_detection, { cpu_util_limit: 1, workers: { length: 1 } })
})

t.test('quickstart-picture.mjs draws the quick start', { timeout: LONGEST_MS }, async (t) => {
  const { code, stderr } = await runExample(process.execPath, 'quickstart-picture.mjs', 'quickstart.svg')
  t.equal(code, 0, stderr)
  const svg = await readFile(join(directory, 'quickstart.svg'), 'utf8')
  t.equal([...svg.matchAll(/<rect class="box"/g)].length, 5)
  t.match(svg, /npm\u00a0run\u00a0quickstart[^]*car_detection[^]*<\/svg>\n$/)
  t.notMatch(svg, /NaN|undefined|Infinity/)
})

t.test('what is missing is said', async (t) => {
  for (const [program, name] of [[process.execPath, 'library.mjs'], ['python3', 'caller.py'], ['bash', 'curl.sh'],
    [process.execPath, 'scheduler.mjs']] as const) {
    const { code, stderr } = await runExample(program, name)
    t.ok(code === 1 || code === 2, name)
    t.match(stderr, /^usage: .*PHOTO/)
  }
})
