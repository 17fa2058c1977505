/**
 * What the CFS period does to the time of a request under a CPU limit. Prints rows of docs/engineering/cpu-limits.md:
 * `node dist/test/workers/limits/measure-latency.js`.
 * A process limited to half a core does pieces of 4 ms and of 12 ms of CPU, at random times, 60 % of what it may use.
 */
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { openLimits } from '../../../lib/workers/limits/index.js'

const PIECES = `
const { setTimeout: sleep } = require('node:timers/promises')
const spin = (n) => { let x = 1; for (let i = 0; i < n; i++) x = Math.imul(x, 48271) + i | 0; return x }
const cost = (n) => {
  const before = process.cpuUsage()
  spin(n)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
process.stdin.once('data', async (line) => {
  const [milliseconds, seconds] = String(line).split(' ').map(Number)
  cost(1e7)
  const pieces = Math.round(1e7 * milliseconds / Math.min(cost(1e7), cost(1e7), cost(1e7)))
  const times = []
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    const start = performance.now()
    spin(pieces)
    times.push(performance.now() - start)
    await sleep(-Math.log(1 - Math.random()) * milliseconds * 2 / 0.9)
  }
  times.sort((a, b) => a - b)
  const quantiles = [0.5, 0.9, 0.99].map((q) => times[Math.floor(times.length * q)].toFixed(1))
  console.log([...quantiles, times.length].join(' | '))
  process.exit()
})
`

console.log('| period (ms) | CPU of a piece (ms) | p50 (ms) | p90 | p99 | pieces |\n|---|---|---|---|---|---|')
for (const piece of [4, 12]) {
  for (const milliseconds of [5, 10, 20, 50, 100]) {
    const backend = await openLimits({ cpuPeriodMicroseconds: milliseconds * 1000 })
    await backend.preferOverOthers()
    const worker = backend.createTaskGroup('measure').createWorkerGroup('worker')
    const child = spawn(process.execPath, ['-e', PIECES], { stdio: ['pipe', 'pipe', 'inherit'] })
    worker.enter(child.pid as number)
    await worker.apply({ cpuUtilLimit: 0.5 / backend.capacity.cores })
    child.stdin.write(`${piece} 6\n`)
    const [line] = await once(child.stdout, 'data') as [Buffer]
    console.log(`| ${milliseconds} | ${piece} | ${String(line).trim()} |`)
    await backend.close()
  }
}
