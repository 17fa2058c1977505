/** Three minutes of `npm run chaos`, of another seed each time; the seed is in its output. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const MINUTES = 3
/** Nodes start, answers are learned and everything ends besides: a busy machine takes its time. */
const TIMEOUT_MS = 20 * 60_000

t.setTimeout(TIMEOUT_MS)

t.test('nothing is wrong, unexplained or leaked', { timeout: TIMEOUT_MS }, async (t) => {
  const main = fileURLToPath(new URL('./main.js', import.meta.url))
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, main, '--minutes', String(MINUTES)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => { output += text.toString() })
  const [code] = await once(child, 'close') as [number | null]
  t.comment(output)
  t.equal(code, 0, 'exit code')
})
