/** `npm run chaos -- --minutes N`: exit code 0 where nothing was wrong, unexplained or leaked. */
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.js'
import { renderReport } from './report.js'

const EXIT_INTERRUPTED = 130

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
if (!(minutes > 0 && minutes <= 1440) || !Number.isSafeInteger(seed)) {
  console.error('Expected --minutes as a number up to 1440 and --seed as a whole number')
  process.exit(1)
}

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupted.abort())
const began = performance.now()
const say = (line: string): void => {
  if (!interrupted.signal.aborted) console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} ${line}`)
}

say(`${minutes} minutes, seed ${seed}`)
try {
  const report = await runChaos({ minutes, seed, signal: interrupted.signal, say })
  console.log(`\n${renderReport(report)}`)
  process.exit(report.ledger.faultCount > 0 ? 1 : 0)
} catch (error) {
  if (!interrupted.signal.aborted) throw error
  console.log('Interrupted; every process of the run has been ended')
  process.exit(EXIT_INTERRUPTED)
}
