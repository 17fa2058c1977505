// Holds a latency target on a node by giving its workers, and taking from them, CPU and company; draws latency.svg.
// node docs/examples/scheduler.mjs URL PHOTO [--target MS] [--rate FPS] [--seconds S] [--out latency.svg]
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { EdgeInferClient } from 'edge-infer/client'
import { drawRun, quantile } from './latency-plot.mjs'

const TASK = 'car_detection'
const STARVED_LIMIT = 0.15
const TICK_MS = 1000
const WINDOW_MS = 2500
const FEWEST_FRAMES = 3
/** Frames under way; a camera drops what comes on top. */
const MOST_IN_FLIGHT = 4
/** A worker that uses this share of its limit is held back by it. */
const HELD_BACK = 0.7
/** What is given back is given back after so many calm ticks. */
const CALM_TICKS = 2

const { values, positionals: [url, photo] } = parseArgs({
  allowPositionals: true,
  options: {
    target: { type: 'string', default: '300' },
    rate: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '38' },
    out: { type: 'string', default: 'latency.svg' },
  },
})
const [targetMs, rate, seconds] = [values.target, values.rate, values.seconds].map(Number)
if (!url || !photo || !(targetMs > 0 && rate > 0 && seconds > 0 && seconds <= 40)) {
  console.error('usage: node scheduler.mjs URL PHOTO [--target MS] [--rate FPS] [--seconds S, at most 40] [--out FILE]')
  process.exit(2)
}

const phases = [
  { name: `before: limit ${STARVED_LIMIT}`, rate, share: 0.2 },
  { name: 'controlled, same load', rate, share: 0.28 },
  { name: 'controlled, 2.5 × the load', rate: rate * 2.5, share: 0.27 },
  { name: 'controlled, half the load', rate: rate / 2, share: 0.25 },
]
let ends = 0
for (const phase of phases) {
  phase.begin = ends
  phase.end = ends += phase.share * seconds * 1000
}

const client = new EdgeInferClient(url, { retries: 0, timeoutMs: 20_000 })
const image = await readFile(photo)
const frames = [] // {at, posted, allMs, computeMs, cpuUse}: at and posted in ms since the start
const lost = [] // {at, why}
const actions = [] // {at, limit, workers, text, why}
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

const { proc_resource_info: first } = await client.executeTask(TASK, { image })
const [node] = Object.values(await client.getClusterInfo())
const before = { limit: first.cpu_util_limit, workers: node.service_state[TASK].workers.length }
const mostWorkers = Math.max(before.workers, node.device_state.n_cpu)
const tooLow = { limit: 0, framesPerSecond: 0 }
const state = { limit: STARVED_LIMIT, workers: before.workers, tooLow, calm: 0, changedAt: 0 }
await client.limitTaskResource(TASK, { cpu_util_limit: STARVED_LIMIT })

/** Until then, or Ctrl-C. */
const sleep = (ms) => setTimeout(ms, undefined, { signal: stop.signal }).catch(() => {})

const start = performance.now()
const now = () => performance.now() - start
const loadNow = () => phases.find(({ end }) => now() < end)?.rate ?? 0
const running = () => now() < ends && !stop.signal.aborted
const steps = [{ at: 0, ...state }]
try {
  await Promise.all([postFrames(), control()])
} finally {
  await restore()
  await client.close()
}
report()
const run = { frames, lost, actions, steps, phases, targetMs, windowMs: WINDOW_MS, task: TASK }
await writeFile(values.out, drawRun(run))
console.log(`drawn in ${values.out}`)

/** At the phase's rate, whatever becomes of the frames before: a camera does not wait. */
async function postFrames() {
  const underWay = new Set()
  for (let next = 0; running();) {
    if (underWay.size >= MOST_IN_FLIGHT) {
      lost.push({ at: now(), why: 'skipped' })
    } else {
      const frame = postFrame().finally(() => underWay.delete(frame))
      underWay.add(frame)
    }
    next += 1000 / phases.find(({ end }) => next < end).rate
    if (next >= ends) break
    await sleep(Math.max(0, next - now()))
  }
  await Promise.all(underWay)
}

async function postFrame() {
  const posted = now()
  try {
    const { proc_resource_info: info } = await client.executeTask(TASK, { image }, { timeoutMs: 10_000 })
    frames.push({
      at: now(), posted, cpuUse: info.cpu_util_use,
      allMs: info.all_latency * 1000, computeMs: info.compute_latency * 1000,
    })
  } catch (error) {
    lost.push({ at: now(), why: error.code ?? error.message })
  }
}

async function control() {
  await sleep(phases[0].end)
  while (running()) {
    await act(decide(observe()))
    await sleep(Math.min(TICK_MS, Math.max(0, ends - now())))
  }
}

/** Frames answered lately that were posted after the last change: earlier ones tell of a node that is no more. */
function observe() {
  const since = now() - WINDOW_MS
  const seen = frames.filter(({ at, posted }) => at >= since && posted >= state.changedAt)
  if (seen.length < FEWEST_FRAMES) return undefined
  // A frame that was dropped has waited for ever.
  const dropped = lost.filter(({ at }) => at >= Math.max(since, state.changedAt)).map(() => Infinity)
  const median = (key) => quantile(seen.map((frame) => frame[key]), 0.5)
  return {
    p95: quantile([...seen.map(({ allMs }) => allMs), ...dropped], 0.95),
    allMs: median('allMs'),
    computeMs: median('computeMs'),
    cpuUse: median('cpuUse'),
    framesPerSecond: loadNow(),
  }
}

/** One step at a time, the cheapest that can help. */
function decide(seen) {
  if (seen === undefined) return undefined
  const { limit, workers } = state
  const { p95, allMs, computeMs, cpuUse, framesPerSecond } = seen
  const figures = p95 === Infinity ? 'frames are dropped' : `p95 ${p95.toFixed(0)} ms`
  if (p95 > targetMs) {
    state.calm = 0
    const heldBack = cpuUse >= HELD_BACK * limit
    if (heldBack && limit < 1) {
      const why = `${figures}; a worker uses ${percent(cpuUse)}, of at most ${percent(limit)}`
      return { kind: 'limit', limit: Math.min(1, limit * 2), why }
    }
    // Nothing holds the worker back and still frames wait longer than they are computed: it is one too few.
    if (allMs - computeMs > computeMs / 2 && workers < mostWorkers) {
      return { kind: 'add', why: `${figures}; frames wait ${(allMs - computeMs).toFixed(0)} ms` }
    }
    // What is left is the machine's other work, which is not the scheduler's to stop.
    return undefined
  }
  if (p95 > 0.7 * targetMs) {
    state.calm = 0
    return undefined
  }
  if (++state.calm < CALM_TICKS) return undefined
  const workersBusy = framesPerSecond * computeMs / 1000
  if (workers > before.workers && workersBusy < 0.6 * (workers - 1)) {
    return { kind: 'decrease', why: `${figures}; ${workersBusy.toFixed(1)} workers are busy` }
  }
  const cpuMs = computeMs * cpuUse
  const enough = Math.min(1, Math.max(2 * framesPerSecond * cpuMs / 1000 / workers, cpuMs / (0.6 * targetMs)))
  const failedBefore = framesPerSecond >= state.tooLow.framesPerSecond && enough < 1.2 * state.tooLow.limit
  if (enough < 0.8 * limit && !failedBefore) {
    return { kind: 'limit', limit: enough, why: `${figures}; that will do for this load` }
  }
  return undefined
}

async function act(action) {
  if (action === undefined || !running()) return
  const asked = { ...state }
  const begin = now()
  try {
    if (action.kind === 'limit') {
      const { cpu_util_limit: held } = await client.limitTaskResource(TASK, { cpu_util_limit: round(action.limit) })
      if (held > asked.limit) state.tooLow = { limit: asked.limit, framesPerSecond: loadNow() }
      state.limit = held
    } else if (action.kind === 'add') {
      await client.addWorkProcess(TASK)
      state.workers++
    } else {
      await client.decreaseWorkProcess(TASK)
      state.workers--
    }
  } catch (error) {
    console.log(`${action.kind} was refused: ${error.message}`)
    return
  }
  state.calm = 0
  state.changedAt = now()
  const text = action.kind === 'limit'
    ? `limit_task_resource ${asked.limit.toFixed(2)} → ${state.limit.toFixed(2)}`
    : `${action.kind}_work_process: ${asked.workers} → ${state.workers} worker${state.workers === 1 ? '' : 's'}`
  steps.push({ at: now(), ...state })
  actions.push({ at: now(), text, why: action.why })
  console.log(`${inSeconds(now())} s  ${text}  (${action.why}; took ${inSeconds(now() - begin)} s)`)
}

/** As the node was found. */
async function restore() {
  for (; state.workers > before.workers; state.workers--) await client.decreaseWorkProcess(TASK)
  await client.limitTaskResource(TASK, { cpu_util_limit: before.limit })
}

function report() {
  const [starved, controlled, peak, light] = phases
  summarise('before (starved)', starved.begin, starved.end)
  summarise('after (second half of the same load)', (controlled.begin + controlled.end) / 2, controlled.end)
  summarise('2.5 × the load', peak.begin, peak.end)
  summarise('half the load', light.begin, light.end)
}

function summarise(name, begin, end) {
  const during = frames.filter(({ at }) => at >= begin && at < end).map(({ allMs }) => allMs)
  const [p50, p95] = [0.5, 0.95].map((share) => during.length > 0 ? quantile(during, share).toFixed(0) : '–')
  const within = during.filter((ms) => ms <= targetMs).length
  const without = lost.filter(({ at }) => at >= begin && at < end).length
  const met = `${within} of ${during.length} frames within ${targetMs} ms, ${without} lost`
  console.log(`${name}: p50 ${p50} ms, p95 ${p95} ms; ${met}`)
}

function percent(share) {
  return `${(share * 100).toFixed(0)} %`
}

function inSeconds(ms) {
  return (ms / 1000).toFixed(1)
}

function round(share) {
  return Math.round(share * 1000) / 1000
}
