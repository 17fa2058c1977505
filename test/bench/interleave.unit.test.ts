import t from 'tap'
import { TargetProcess } from '../../lib/bench/target-process.js'
import { interleave, type BenchTarget } from '../../lib/bench/interleave.js'

function recording(name: string, log: string[]): BenchTarget {
  return { name, measure: async () => ({ total: log.push(name), stages: {} }) }
}

t.test('bench targets take turns, and warm-up is not counted', async (t) => {
  const log: string[] = []
  const benchTargets = [recording('a', log), recording('b', log)]
  const [a, b] = await interleave(benchTargets, { warmupRequestCount: 1, requestCount: 2, measurementInterval: 1 })
  t.equal(log.join(''), 'ababab')
  t.same([a, b].map((rounds) => rounds?.map(({ total }) => total)), [[3, 5], [4, 6]])
})

t.test('an interval that holds too few rounds is prolonged', async (t) => {
  const [a] = await interleave([recording('a', [])], { warmupRequestCount: 0, measurementInterval: 0.001 })
  t.equal(a?.length, 10)
})

t.test('a signal stops it between requests', async (t) => {
  const controller = new AbortController()
  const benchTarget = { name: 'a', measure: async () => (controller.abort(), { total: 1, stages: {} }) }
  const plan = { warmupRequestCount: 0, requestCount: 5, measurementInterval: 1, signal: controller.signal }
  await t.rejects(interleave([benchTarget], plan), { code: 'ABORTED' })
})

t.test('a bench target in a process of its own', async (t) => {
  const script = `console.log('{"ready": true, "version": "1"}')
    require('readline').createInterface({ input: process.stdin })
      .on('line', (line) => {
        if (line !== 'die') return console.log('{"total": 3, "decode": 1}')
        console.error('I fell')
        process.exit(3)
      })`
  const start = (code: string): Promise<TargetProcess> =>
    TargetProcess.start('peer', process.execPath, ['-e', code])
  const peer = await start(script)
  t.match(peer.greeting, { version: '1' })
  t.same(await peer.measure(), { total: 3, stages: { decode: 1 } })
  await t.rejects(peer.ask('die'), { code: 'INTERNAL', message: /peer.*I fell/ })
  await peer.close()
  await t.rejects(start('console.error("no model"); process.exit(1)'), { code: 'INTERNAL', message: /no model/ })
  await t.rejects(TargetProcess.start('none', '/nonexistent/program', []), { code: 'INTERNAL', message: /ENOENT/ })
})
