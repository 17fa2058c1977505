import t from 'tap'
import { costOf, ROUTES, simulateNodes } from './measure-many-nodes.js'
import { clusterInfo, eventually, getJson, NodeProcess, nodesOf, wait } from './nodes.js'

t.test('with 500 nodes an answer of a status route costs the cloud milliseconds of CPU', async (t) => {
  const cloud = await NodeProcess.start(t, '127.0.0.1', 5650)
  const before = costOf(cloud.pid)
  const stop = await simulateNodes(cloud.url, 500, 2000)
  t.teardown(stop)
  t.equal(Object.keys(await clusterInfo(cloud)).length, 501)

  const calls = 20
  const start = costOf(cloud.pid)
  const begin = performance.now()
  for (const route of ROUTES) {
    for (let call = 0; call < calls; call++) {
      await getJson(cloud.url + route)
      await wait(10)
    }
  }
  const seconds = (performance.now() - begin) / 1000
  const after = costOf(cloud.pid)
  // Includes the heartbeats that came meanwhile, 250 a second.
  const millisecondsEach = (after.cpuSeconds - start.cpuSeconds) * 1000 / (calls * ROUTES.length)
  t.ok(millisecondsEach < 25 + seconds * 250 * 0.5 / (calls * ROUTES.length), `${millisecondsEach} ms of CPU an answer`)
  t.ok(after.rssBytes - before.rssBytes < 150 * 2 ** 20, `${(after.rssBytes - before.rssBytes) / 2 ** 20} MiB more`)
  await eventually(t, 'none is lost', () => nodesOf(cloud), (nodes) => nodes.every(({ lost }) => !lost))
})
