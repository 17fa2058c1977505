/** What is done to the nodes. Each ends with its node as it was; the errors it explains are said with it. */
import { Agent } from 'node:http'
import { writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { native } from '../../lib/native.js'
import { isAlive, until } from '../helpers/processes.js'
import { AWAY, FEWER, LOST, RACED, REFUSED, type Ledger } from './ledger.js'
import { pick } from './load.js'
import { LOG_SINKS, PATIENCE_MS, type ChaosNode, type Worker } from './node-process.js'
import { codesOf, post, type Answer, type NoAnswer } from './post.js'

export interface Scene {
  nodes: readonly ChaosNode[]
  cloud: ChaosNode
  ledger: Ledger
  random: () => number
  /** Whether limits can be set on this machine. */
  hasLimits: boolean
  /** Whether a process is one of this run's: no other is signalled. */
  isOurs: (pid: number) => boolean
  /** The file that a node's clock is set by; undefined where there is no libfaketime. */
  clockFile: string | undefined
}

export interface Disturbance {
  name: string
  /** How often it comes, relative to the others. */
  weight: number
  /** Of the whole node: not while another of that kind is done to it. */
  isOfNode?: true
  /** Of callers that come to the node meanwhile. */
  explains: (scene: Scene) => readonly string[]
  /** Of callers that come the slow way. */
  explainsOnSlowWay?: readonly string[]
  /** Why it cannot be done; false where it can. */
  missing?: (scene: Scene) => string | false
  /** Whether it can be done to this node. */
  suits?: (node: ChaosNode, scene: Scene) => boolean
  run(node: ChaosNode, scene: Scene): Promise<void>
}

/** While a node is away, and until all its workers are there again. */
const GONE = [REFUSED, RACED, AWAY, FEWER, 'CLOSED', 'NO_WORKER']
/** A node that stops in order answers every request that has reached it, unlike one that is killed. */
const KILLED = [LOST, ...GONE]
const BROKEN = [LOST, RACED]
const NO_CODES = (): readonly string[] => []
const agent = new Agent({ keepAlive: false })

const needsLimits = ({ hasLimits }: Scene): string | false => hasLimits ? false : 'no control group can be written'

/** Where nobody counts what the kernel kills for want of memory, every SIGKILL counts as the request's fault. */
const killed = ({ hasLimits }: Scene): readonly string[] => hasLimits ? [FEWER] : [FEWER, 'WORKER_DIED']

export const DISTURBANCES: readonly Disturbance[] = [
  {
    name: 'SIGKILL of a worker', weight: 4, explains: killed,
    run: (node, scene) => signalWorker(node, scene, async (pid) => {
      kill(scene, pid, 'SIGKILL')
      await until(async () => !(await node.workers()).some((worker) => worker.pid === pid))
    }),
  },
  {
    name: 'SIGSTOP of a worker', weight: 3, explains: killed,
    run: (node, scene) => signalWorker(node, scene, (pid) => stopFor(scene, pid, 500 + scene.random() * 8000)),
  },
  {
    name: 'SIGSTOP of a worker, for good', weight: 0.5, explains: killed,
    // Those that have work are killed as stuck after 30 s; one that has none is never missed.
    run: (node, scene) => signalWorker(node, scene, (pid) => stopFor(scene, pid, 45_000)),
  },
  {
    name: 'SIGSTOP of a node', weight: 2, isOfNode: true, explains: () => [AWAY],
    explainsOnSlowWay: ['REQUEST_TIMEOUT', ...BROKEN],
    run: (node, scene) => stopFor(scene, node.pid, 1000 + scene.random() * 12_000),
  },
  {
    name: 'SIGKILL of a node', weight: 2, isOfNode: true, explains: () => KILLED, explainsOnSlowWay: KILLED,
    async run(node, { random }) {
      node.signal('SIGKILL')
      await node.ended()
      await sleep(random() * 4000)
      node.start(pick(random, LOG_SINKS))
    },
  },
  {
    name: 'SIGTERM of a node', weight: 2, isOfNode: true, explains: () => GONE, explainsOnSlowWay: KILLED,
    async run(node, scene) {
      await stopNode(node, scene)
      node.start(pick(scene.random, LOG_SINKS))
    },
  },
  {
    name: 'limits of a task', weight: 3, explains: () => ['BAD_LIMIT'], missing: needsLimits,
    async run(node, scene) {
      const task = pick(scene.random, node.tasks)
      for (let change = 0; change < 4; change++) {
        const cpu = Math.max(0.05, Math.round(scene.random() * 100) / 100)
        await control(scene, node, '/limit_task_resource', { task_name: task, cpu_util_limit: cpu }, ['200'])
        await sleep(scene.random() * 2500)
      }
      await control(scene, node, '/limit_task_resource', { task_name: task, cpu_util_limit: 1 }, ['200'])
    },
  },
  {
    name: 'limit of a worker', weight: 2, explains: NO_CODES, missing: needsLimits,
    async run(node, scene) {
      const worker = pick(scene.random, await node.workers()) as Worker | undefined
      if (!worker) return
      const cpu = Math.max(0.05, Math.round(scene.random() * 100) / 100)
      const body = { task_name: worker.task, pid: worker.pid, cpu_util_limit: cpu }
      await control(scene, node, '/limit_process_resource', body, ['200', '404 UNKNOWN_PID'])
      await sleep(scene.random() * 4000)
      await control(scene, node, '/limit_process_resource', { ...body, cpu_util_limit: 1 }, ['200', '404 UNKNOWN_PID'])
    },
  },
  {
    name: 'memory limit that is too low', weight: 2, explains: () => ['BAD_LIMIT'], missing: needsLimits,
    async run(node, scene) {
      const task = pick(scene.random, node.tasks)
      const body = { task_name: task, mem_util_limit: 0.0001, cpu_util_limit: 0.5 }
      await control(scene, node, '/limit_task_resource', body, ['409 LIMIT_TOO_LOW'], ['200'])
      const none = { task_name: task, mem_util_limit: 1, cpu_util_limit: 1 }
      await control(scene, node, '/limit_task_resource', none, ['200'])
    },
  },
  {
    name: 'out of memory in a control group', weight: 1.5, explains: () => ['WORKER_DIED', 'NO_WORKER', AWAY, FEWER],
    missing: needsLimits, suits: ({ tasks }) => tasks.includes('face_detection'),
    run: outOfMemory,
  },
  {
    name: 'a worker more, and one less', weight: 2, explains: NO_CODES,
    async run(node, scene) {
      const task = pick(scene.random, node.tasks)
      const server = node.pid
      const { status: added } = await control(scene, node, '/add_work_process', { task_name: task }, ['200'])
      await sleep(scene.random() * 3000)
      // A node that has been started anew does not have it.
      if (added !== 200 || node.pid !== server) return
      const body = { task_name: task }
      const less = await control(scene, node, '/decrease_work_process', body, ['200'], ['409 LAST_WORKER'])
      const { pid } = less.body
      if (typeof pid === 'number' && isAlive(pid)) scene.ledger.fault(`the removed worker ${pid} lives`)
    },
  },
  {
    name: 'jumps of the clock', weight: 2, explains: NO_CODES,
    missing: ({ clockFile }) => clockFile === undefined && 'there is no libfaketime (Debian: faketime)',
    suits: ({ spec }) => 'FAKETIME_TIMESTAMP_FILE' in spec.env,
    async run(_node, { clockFile, random }) {
      for (let jump = 0; jump < 4; jump++) {
        writeFileSync(clockFile as string, `${random() < 0.5 ? '-' : '+'}${Math.round(random() * 3 * 86_400)}\n`)
        await sleep(500 + random() * 2500)
      }
      writeFileSync(clockFile as string, '+0\n')
    },
  },
  {
    name: 'slow way', weight: 2, explains: NO_CODES, explainsOnSlowWay: ['REQUEST_TIMEOUT', ...BROKEN, AWAY],
    async run({ proxy }, { random }) {
      proxy.delayMs = 100 + random() * 400
      await sleep(4000 + random() * 6000)
      proxy.delayMs = 0
    },
  },
  {
    name: 'way that holds everything back', weight: 1, explains: NO_CODES,
    explainsOnSlowWay: ['REQUEST_TIMEOUT', ...BROKEN, AWAY],
    async run({ proxy }, { random }) {
      proxy.hold()
      await sleep(2000 + random() * 14_000)
      proxy.resume()
    },
  },
  {
    name: 'way whose connections break', weight: 1, explains: NO_CODES, explainsOnSlowWay: [...BROKEN, AWAY],
    async run({ proxy }, { random }) {
      for (let cut = 0; cut < 5; cut++) {
        proxy.cut()
        await sleep(random() * 1000)
      }
    },
  },
]

/** Does it, and waits until the node is well again. */
export async function disturb(disturbance: Disturbance, node: ChaosNode, scene: Scene): Promise<void> {
  const { name, explains, explainsOnSlowWay = [] } = disturbance
  const { ledger } = scene
  const ends = [
    ledger.disturb(node.name, name, explains(scene)),
    ...explainsOnSlowWay.length > 0 ? [ledger.explainAlso(`way to ${node.name}`, name, explainsOnSlowWay)] : [],
  ]
  try {
    await disturbance.run(node, scene)
    await recovered(node, scene, name)
  } finally {
    for (const end of ends) end()
  }
}

/** Waits until the node has all its workers, and the cloud lists it; a fault where that never comes. */
export async function recovered(node: ChaosNode, { cloud, ledger }: Scene, after: string): Promise<void> {
  let trouble: string | undefined
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(200)) {
    trouble = await node.trouble()
    if (trouble === undefined && !cloud.isTaken && !await isListed(node, cloud)) trouble = 'the cloud does not list it'
    if (trouble === undefined) return
  }
  ledger.fault(`${node.name} does not recover from ${after}: ${trouble}`)
  if (node.hasEnded) node.start('read')
}

async function isListed(node: ChaosNode, cloud: ChaosNode): Promise<boolean> {
  const info = await cloud.get('/get_cluster_info') as object | undefined
  return info !== undefined && node.spec.ip in info
}

/** SIGTERM; a fault where it does not end by itself, with exit code 0. */
export async function stopNode(node: ChaosNode, { ledger }: Pick<Scene, 'ledger'>): Promise<void> {
  node.signal('SIGTERM')
  const code = await node.ended()
  if (code !== 0) ledger.fault(`${node.name} ended with ${code} after SIGTERM: ${node.said.slice(-1000)}`)
}

async function signalWorker(node: ChaosNode, { random }: Scene, work: (pid: number) => Promise<void>): Promise<void> {
  const workers = await node.workers()
  if (workers.length > 0) await work(pick(random, workers).pid)
}

async function stopFor(scene: Scene, pid: number, milliseconds: number): Promise<void> {
  kill(scene, pid, 'SIGSTOP')
  await sleep(milliseconds)
  kill(scene, pid, 'SIGCONT')
}

function kill({ isOurs }: Scene, pid: number, signal: NodeJS.Signals): void {
  try {
    if (isOurs(pid)) process.kill(pid, signal)
  } catch {
    // It has died meanwhile.
  }
}

/**
 * A control request; a fault unless it is answered as it should be, or something explains the error. `rightWithFewer`:
 * right, too, while the node may have fewer workers than it should.
 */
async function control(
  { ledger }: Scene, node: ChaosNode, path: string, body: object, right: readonly string[],
  rightWithFewer: readonly string[] = [],
): Promise<Answer> {
  const since = performance.now()
  const headers = { 'content-type': 'application/json' }
  try {
    const answer = await post(agent, node.url, path, headers, Buffer.from(JSON.stringify(body)))
    const [code] = codesOf(answer)
    const answered = code === undefined ? String(answer.status) : `${answer.status} ${code}`
    const isRight = right.includes(answered) ||
      (rightWithFewer.includes(answered) && ledger.explains(node.name, FEWER, since))
    if (isRight) ledger.right(`control ${path}`)
    else {
      ledger.failed(`control ${path}`, code ?? answered, code !== undefined && ledger.explains(node.name, code, since),
        `${node.name} ${JSON.stringify(body)}: ${JSON.stringify(answer.body).slice(0, 400)}`)
    }
    return answer
  } catch (error) {
    const { code = LOST, message } = error as Partial<NoAnswer> & Error
    ledger.failed(`control ${path}`, code, ledger.explains(node.name, code, since), `${node.name}: ${message}`)
    return { status: 0, body: {} }
  }
}

let giant: Promise<Buffer> | undefined

/** 147 MB of pixels in a small file. */
function giantPicture(): Promise<Buffer> {
  const side = 7000
  return giant ??= native.annotate({
    kind: 'raw', data: Buffer.alloc(side * side * 3, 100), width: side, height: side, channels: 3, order: 'bgr',
  }, [], '.png')
}

/** A worker gets little more memory than it uses, and then a picture that does not fit. */
async function outOfMemory(node: ChaosNode, scene: Scene): Promise<void> {
  const { ledger } = scene
  const picture = await giantPicture()
  const task = 'face_detection'
  const worker = (await node.workers()).find((one) => one.task === task)
  if (!worker) return
  // The lowest limit that is not below what it uses.
  for (let megabytes = 20; megabytes <= 400; megabytes += 20) {
    const body = { task_name: task, pid: worker.pid, mem_limit: megabytes * 2 ** 20 / totalmem() }
    const right = ['200', '409 LIMIT_TOO_LOW', '404 UNKNOWN_PID']
    const { status } = await control(scene, node, '/limit_process_resource', body, right)
    if (status !== 409) break
  }
  const since = performance.now()
  const kind = 'picture beyond the memory limit'
  await Promise.all([0, 1].map(async () => {
    try {
      const answer = await post(agent, node.url, `/execute_task_old/${task}`, { 'content-type': 'image/png' }, picture)
      const [code = `status ${answer.status}`] = codesOf(answer)
      const what = `${node.name}: ${JSON.stringify(answer.body).slice(0, 300)}`
      if (answer.status === 200) ledger.right(kind)
      else ledger.failed(kind, code, code === 'WORKER_DIED', what)
    } catch (error) {
      const { code = LOST, message } = error as Partial<NoAnswer> & Error
      ledger.failed(kind, code, ledger.explains(node.name, code, since), `${node.name}: ${message}`)
    }
  }))
  await control(scene, node, '/limit_task_resource', { task_name: task, mem_util_limit: 1 }, ['200'])
}
