/**
 * Two hosts and a cloud under load, good and bad, while everything that can happen to them does. Every answer is
 * compared with the right one, every error must follow from what is being done to the node, and nothing may be left.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { noLimits } from '../helpers/limits.js'
import { useConstantHelmets } from '../helpers/models.js'
import { until } from '../helpers/processes.js'
import { seededRandom } from '../helpers/random.js'
import { runBadClients } from './bad-clients.js'
import { DISTURBANCES, disturb, recovered, stopNode, type Disturbance, type Scene } from './disturbances.js'
import { knownRequests } from './known.js'
import { filesLeft, groupsOf, holdings, isOf, MARKER, processesOf, removeGroup, type Holding } from './leaks.js'
import { Ledger } from './ledger.js'
import { Load, pick } from './load.js'
import { ChaosNode, type NodeSpec } from './node-process.js'
import type { Report } from './report.js'
import { SlowProxy } from './slow-proxy.js'

const CALLERS = 5
const BAD_CALLERS = 2
/** Disturbances at a time. */
const LANES = 3
/** Sockets that may be open at the end beyond those of the start: between the nodes, as it happens. */
const SPARE_SOCKETS = 6
/**
 * What a process may hold beyond what it held at the start: a descriptor or two that only some of its work opens, and
 * memory that its allocator keeps after large pictures.
 */
const SPARE = { descriptors: 2, sockets: 0, megabytes: 500 }

export interface ChaosOptions {
  minutes: number
  seed: number
  /** Ends the run at once: no report then, but nothing is left either. */
  signal: AbortSignal
  say: (line: string) => void
}

export async function runChaos({ minutes, seed, signal, say }: ChaosOptions): Promise<Report> {
  const run = `${process.pid}-${seed}`
  const directory = mkdtempSync(join(tmpdir(), 'edge-infer-chaos-'))
  const cleanUp: (() => unknown)[] = []
  let started: ChaosNode[] = []
  useConstantHelmets({ teardown: (work: () => unknown) => { cleanUp.push(work) } } as Pick<Test, 'teardown'>)
  const ledger = new Ledger(say)
  try {
    const { nodes, clockFile } = await makeNodes(run, directory)
    started = nodes
    cleanUp.push(...nodes.map((node) => () => node.proxy.close()))
    cleanUp.push(() => groupsOf(new Set(nodes.flatMap(({ pids }) => pids))).forEach(removeGroup))
    const [cloud] = nodes as [ChaosNode, ...ChaosNode[]]
    const scene: Scene = {
      nodes, cloud, ledger, random: seededRandom(seed), hasLimits: noLimits === false, clockFile,
      isOurs: (pid) => isOf(run, pid),
    }
    const began = performance.now()
    const work = async (): Promise<Report> => {
      const holdings = await disturbed(scene, minutes, seed, say)
      await endNodes(scene, run, join(directory, 'tmp'))
      return { seed, minutes: (performance.now() - began) / 60_000, ledger, left: leftOut(scene), ...holdings }
    }
    return await Promise.race([work(), aborted(signal)])
  } finally {
    for (const node of started) node.isOver = true
    for (const pid of processesOf(run)) process.kill(pid, 'SIGKILL')
    await until(() => processesOf(run).length === 0, 20_000)
    for (const work of cleanUp.reverse()) await work()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function aborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

async function makeNodes(
  run: string, directory: string,
): Promise<{ nodes: ChaosNode[]; clockFile: string | undefined }> {
  const [temporary, clock] = [join(directory, 'tmp'), join(directory, 'clock')]
  mkdirSync(temporary)
  writeFileSync(clock, '+0\n')
  const library = fakeTime()
  const env = { [MARKER]: run, TMPDIR: temporary }
  const fakeClock = library === undefined ? {} : {
    LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DISABLE_SHM: '1',
  }
  const start = async (spec: Omit<NodeSpec, 'port'>): Promise<ChaosNode> => {
    const port = await freePort(spec.ip)
    return new ChaosNode({ ...spec, port }, await SlowProxy.start(spec.ip, port))
  }
  const cloud = await start({
    name: 'cloud', ip: '127.0.0.2', tasks: { face_detection: 1, face_alignment: 1 }, args: [], env,
  })
  const host = ['--role', 'host', '--cloud', cloud.slowUrl, '--heartbeat-interval', '500']
  return {
    clockFile: library && clock,
    nodes: [
      cloud,
      await start({ name: 'host A', ip: '127.0.0.3', tasks: { face_detection: 2, car_detection: 1 }, args: host, env }),
      await start({
        name: 'host B', ip: '127.0.0.4', args: host,
        tasks: { face_detection: 1, face_alignment: 1, helmet_detection: 1 }, env: { ...env, ...fakeClock },
      }),
    ],
  }
}

/** libfaketime, where Debian's package faketime has put it. */
function fakeTime(): string | undefined {
  return readdirSync('/usr/lib').map((name) => `/usr/lib/${name}/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path))
}

async function freePort(ip: string): Promise<number> {
  const server = createServer().listen(0, ip)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The run itself, from the start of the nodes until they are quiet again. */
async function disturbed(
  scene: Scene, minutes: number, seed: number, say: (line: string) => void,
): Promise<{ start: Holding[]; end: Holding[] }> {
  const { nodes, cloud, ledger } = scene
  for (const node of nodes) node.start('read')
  for (const node of nodes) await recovered(node, scene, 'the start')
  if (ledger.faultCount > 0) throw new Error(`The nodes do not start: ${ledger.faults.join('; ')}`)
  const known = (await knownRequests()).filter(({ task }) => nodes.some(({ tasks }) => tasks.includes(task)))
  const load = new Load({ nodes, cloud, known, ledger })
  await load.learn()
  const start = (await Promise.all(nodes.map(holdings))).flat()

  const end = performance.now() + minutes * 60_000
  const isOver = (): boolean => performance.now() > end
  const randomOf = (index: number): (() => number) => seededRandom(seed + 7919 * (index + 1))
  const progress = setInterval(() => say(progressOf(ledger)), 30_000)
  try {
    await Promise.all([
      ...Array.from({ length: CALLERS }, (_, index) => load.run(randomOf(index), isOver)),
      ...Array.from({ length: BAD_CALLERS }, (_, index) => runBadClients(nodes, ledger, randomOf(100 + index), isOver)),
      ...Array.from({ length: LANES }, (_, index) =>
        disturbInTurn({ ...scene, random: randomOf(200 + index) }, isOver, say)),
    ])
  } finally {
    clearInterval(progress)
    await load.close()
  }
  return { start, end: await quiet(scene, start) }
}

function progressOf({ rows, faultCount }: Ledger): string {
  const sum = (key: 'requests' | 'right'): number => [...rows.values()].reduce((all, row) => all + row[key], 0)
  return `${sum('requests')} requests, ${sum('right')} right, ${faultCount} faults`
}

async function disturbInTurn(scene: Scene, isOver: () => boolean, say: (line: string) => void): Promise<void> {
  const { nodes, random } = scene
  while (!isOver()) {
    await sleep(random() * 3000)
    const node = pick(random, nodes)
    const disturbance = weighted(random, DISTURBANCES.filter(({ missing, suits, isOfNode = false }) =>
      !missing?.(scene) && (suits?.(node, scene) ?? true) && !(isOfNode && node.isTaken)))
    const since = performance.now()
    if (disturbance.isOfNode) node.isTaken = true
    await disturb(disturbance, node, scene)
    if (disturbance.isOfNode) node.isTaken = false
    say(`${disturbance.name} of ${node.name}: well again after ${((performance.now() - since) / 1000).toFixed(1)} s`)
  }
}

function weighted(random: () => number, choices: readonly Disturbance[]): Disturbance {
  let left = random() * choices.reduce((sum, { weight }) => sum + weight, 0)
  return choices.find(({ weight }) => (left -= weight) < 0) ?? choices[0] as Disturbance
}

function leftOut(scene: Scene): string[] {
  return DISTURBANCES.flatMap(({ name, missing }) => {
    const why = missing?.(scene)
    return why ? [`${name}: ${why}`] : []
  })
}

/** Waits until the nodes hold no more than at the start, and says what they hold then. */
async function quiet(scene: Scene, start: readonly Holding[]): Promise<Holding[]> {
  const { nodes, ledger } = scene
  for (const node of nodes) {
    node.proxy.cut()
    await recovered(node, scene, 'the run')
  }
  let end: Holding[] = []
  let surplus: string[] = []
  await until(async () => {
    end = (await Promise.all(nodes.map(holdings))).flat()
    surplus = surplusOf(start, end)
    return surplus.length === 0
  }, 90_000)
  for (const what of surplus) ledger.fault(`leaked: ${what}`)
  return end
}

function surplusOf(start: readonly Holding[], end: readonly Holding[]): string[] {
  if (start.length !== end.length) return [`${end.length} processes where there were ${start.length}`]
  return end.flatMap((after, index) => {
    const before = start[index] as Holding
    const isServer = !after.process.includes('_')
    const spare = isServer ? { ...SPARE, sockets: SPARE_SOCKETS } : SPARE
    return (['descriptors', 'sockets', 'megabytes'] as const).filter((key) => after[key] > before[key] + spare[key])
      .map((key) => `${after.process} has ${after[key]} ${key} where it had ${before[key]}`)
  })
}

/** Hosts first, as an operator would. Nothing of them may be left. */
async function endNodes({ nodes, ledger }: Scene, run: string, temporary: string): Promise<void> {
  for (const node of [...nodes].reverse()) await stopNode(node, { ledger })
  const isGone = await until(() => processesOf(run).length === 0, 30_000)
  if (!isGone) ledger.fault(`leaked: processes ${processesOf(run).join()}`)
  const groups = groupsOf(new Set(nodes.flatMap(({ pids }) => pids)))
  if (groups.length > 0) ledger.fault(`leaked: control groups ${groups.join()}`)
  const files = filesLeft(temporary)
  if (files.length > 0) ledger.fault(`leaked: files ${files.join()}`)
}
