/**
 * How exactly the kernel holds a CPU limit, by CFS period: `node dist/test/workers/limits/measure-period.js [seconds]`.
 * Prints the rows of docs/engineering/cpu-limits.md. What other processes took and what stayed idle tell a limit that
 * is not held from a machine that is busy with something else.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLimits } from '../../../lib/workers/limits/index.js'
import { burner, cpuUse } from './busy.js'

const seconds = Number(process.argv[2] ?? 5)
const loads = [
  { threads: 1, limits: [0.1, 0.25, 0.45] },
  { threads: 2, limits: [0.1, 0.25, 0.5, 0.75, 0.9, 1] },
]

console.log('| period (ms) | threads | limit | used | error (%) | idle | others |\n|---|---|---|---|---|---|---|')
for (const { threads, limits } of loads) {
  for (const limit of limits) {
    for (const milliseconds of [5, 10, 20, 50, 100]) await measure(milliseconds, threads, limit)
  }
}

async function measure(milliseconds: number, threads: number, limit: number): Promise<void> {
  const backend = await openLimits({ cpuPeriodMicroseconds: milliseconds * 1000 })
  await backend.preferOverOthers()
  try {
    const worker = backend.createTaskGroup('measure').createWorkerGroup('worker')
    await worker.apply({ cpuUtilLimit: limit })
    await using process = burner(worker)
    process.send(`${threads}`)
    await sleep(500)
    const before = machineTicks()
    const used = await cpuUse(worker, backend.capacity.cores, seconds)
    const [idle, total] = machineTicks().map((ticks, i) => ticks - (before[i] as number)) as [number, number]
    const cells = [used, (used / limit - 1) * 100, idle / total, 1 - idle / total - used]
    console.log(`| ${[milliseconds, threads, limit, ...cells.map((cell) => cell.toFixed(3))].join(' | ')} |`)
  } finally {
    await backend.close()
  }
}

/** Idle and all clock ticks of the machine since boot. */
function machineTicks(): [number, number] {
  const ticks = (readFileSync('/proc/stat', 'utf8').split('\n')[0] as string).split(/ +/).slice(1).map(Number)
  return [(ticks[3] as number) + (ticks[4] as number), ticks.slice(0, 8).reduce((sum, value) => sum + value, 0)]
}
