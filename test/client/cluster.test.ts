import t, { type Test } from 'tap'
import { EdgeInferClient, type ClusterClient, type ClusterOptions } from '../../lib/client/index.js'
import { until } from '../helpers/processes.js'
import { answer, codeOf, json, JPEG, refuse, TestNode, type Respond } from './helpers.js'

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

const works: Respond = (_request, response) => json(response, answer({ result: [], count_result: {} }))

interface Cluster {
  cloud: TestNode
  nodes: TestNode[]
  /** What the cloud says of each node. */
  figures: Record<string, unknown>[]
  client: ClusterClient
  run(options?: { timeoutMs?: number }): Promise<unknown>
}

/** A cloud on 127.0.0.1 and nodes on 127.0.0.2 and up, each a server of its own. */
async function startCluster(t: Test, responds: readonly Respond[], options: ClusterOptions = {}): Promise<Cluster> {
  const nodes = await Promise.all(responds.map((respond, index) => TestNode.start(t, respond, `127.0.0.${index + 2}`)))
  const figures = nodes.map(() => ({ cpu: 1, mem: 1, n_cpu: 4 }))
  const cloud = await TestNode.start(t, ({ url }, response) => {
    const task = url.pathname.split('/')[2]
    if (task !== 'car_detection') return refuse(response, 404, 'UNKNOWN_TASK')
    return json(response, Object.fromEntries(nodes.map((node, index) =>
      [node.key, { url: `${node.url}/execute_task/${task}`, bandwidth: 1, ...figures[index] }])))
  })
  const client = EdgeInferClient.cluster(cloud.url, options)
  t.teardown(() => client.close())
  const run = (call = {}): Promise<unknown> => client.executeTask('car_detection', { image: JPEG }, call)
  return { cloud, nodes, figures, client, run }
}

const counts = ({ nodes }: Cluster): number[] =>
  nodes.map(({ paths }) => paths.filter((path) => path !== '/healthz').length)

t.test('round robin takes the nodes in turn, from one list of the cloud', async (t) => {
  const options = { policy: 'round-robin', token: 'secret', refreshMs: 60_000 } as const
  const cluster = await startCluster(t, [works, works, works], options)
  for (let call = 0; call < 9; call++) await cluster.run()
  t.same(counts(cluster), [3, 3, 3])
  t.same(cluster.cloud.paths, ['/get_execute_url/car_detection'])
  t.equal(cluster.cloud.received[0]?.headers.authorization, 'Bearer secret')
  t.ok(cluster.nodes.every(({ received }) => received.every(({ headers }) => headers.authorization === undefined)))
})

t.test('the least loaded node is picked, this client\'s own calls counted in', async (t) => {
  const slow: Respond = async (request, response) => { await wait(100); await works(request, response) }
  const cluster = await startCluster(t, [slow, slow, slow], { refreshMs: 100 })
  Object.assign(cluster.figures[0] as object, { cpu: 0.2 })
  Object.assign(cluster.figures[1] as object, { cpu: 0.9, mem: 0.01 })
  await cluster.run()
  t.same(counts(cluster), [0, 0, 1], 'neither the busy one nor the one without memory')
  await Promise.all(Array.from({ length: 8 }, () => cluster.run()))
  const [busy, , idle] = counts(cluster) as [number, number, number]
  t.ok(busy >= 1 && idle > busy, `spread: ${counts(cluster)}`)
  Object.assign(cluster.figures[0] as object, { cpu: 1 })
  Object.assign(cluster.figures[2] as object, { cpu: 0 })
  const before = counts(cluster)[0] as number
  t.ok(await until(async () => {
    await cluster.run()
    return (counts(cluster)[0] as number) > before
  }), 'the new figures were fetched in the background')
})

t.test('the nearest node is the one that answers soonest', async (t) => {
  const far = (milliseconds: number): Respond => async (request, response) => {
    await wait(milliseconds)
    if (request.url.pathname === '/healthz') json(response, { status: 'ok' })
    else await works(request, response)
  }
  const old: Respond = (request, response) =>
    request.url.pathname === '/healthz' ? json(response, { error: 'no such route' }, 404) : works(request, response)
  const cluster = await startCluster(t, [far(800), old, far(400)], { policy: 'nearest', refreshMs: 60_000 })
  for (let call = 0; call < 5; call++) await cluster.run()
  t.same(counts(cluster), [0, 5, 0])
  const known = await cluster.client.nodes('car_detection')
  const [first, second, third] = known.map(({ roundTripMs }) => roundTripMs) as [number, number, number]
  t.ok(first >= 790 && third >= 390 && second < third, `${first}, ${second}, ${third} ms`)
})

t.test('one node refuses, one hangs, one works: every call is answered', async (t) => {
  const cluster = await startCluster(t, [works, () => {}, works], {
    policy: 'round-robin', attemptTimeoutMs: 1000, penaltyMs: 4000, refreshMs: 60_000,
  })
  const [refusing, hanging, working] = cluster.nodes as [TestNode, TestNode, TestNode]
  await refusing.stop()
  const replies = await Promise.all(Array.from({ length: 12 }, () => cluster.run({ timeoutMs: 60_000 })))
  t.equal(replies.length, 12)
  t.equal(working.received.length, 12)
  const seen = hanging.received.length
  t.ok(seen >= 1 && seen <= 12)
  for (let call = 0; call < 6; call++) await cluster.run()
  t.equal(hanging.received.length, seen, 'those that failed are left alone for a while')
  t.same((await cluster.client.nodes('car_detection')).map(({ penalised }) => penalised), [true, true, false])

  await refusing.restart()
  hanging.respond = works
  t.ok(await until(async () => {
    await cluster.run()
    return refusing.received.length >= 2 && hanging.received.length >= seen + 2
  }), 'and are back when they have recovered')
})

t.test('when every node fails the error names them all', async (t) => {
  const cluster = await startCluster(t, [works, () => {}], { policy: 'round-robin', attemptTimeoutMs: 100, retries: 0 })
  await cluster.nodes[0]?.stop()
  const [gone, hanging] = cluster.nodes
  const attempts = [{ url: gone?.url, code: 'NODE_UNREACHABLE' }, { url: hanging?.url, code: 'TIMEOUT' }]
  await t.rejects(cluster.run(), { code: 'TIMEOUT', details: { attempts } })
  await t.rejects(cluster.run({ timeoutMs: 50 }), { code: 'TIMEOUT' })
})

t.test('a full node is skipped; when all are full the client waits for the shortest Retry-After', async (t) => {
  let fullUntil = 0
  const limited: Respond = (request, response) => performance.now() < fullUntil
    ? refuse(response, 503, 'QUEUE_FULL', 'full', { 'retry-after': '1' })
    : works(request, response)
  const full: Respond = (_request, response) => refuse(response, 503, 'QUEUE_FULL', 'full', { 'retry-after': '9' })
  const cluster = await startCluster(t, [full, limited], { policy: 'round-robin', refreshMs: 60_000 })
  const begin = performance.now()
  await cluster.run()
  t.ok(performance.now() - begin < 9000, 'the one that asks for 9 s is not waited for')
  fullUntil = performance.now() + 500
  await cluster.run()
  t.ok(performance.now() - begin >= 990)
  t.notOk((await cluster.client.nodes('car_detection')).some(({ penalised }) => penalised))
})

t.test('a node whose workers died leaves the call to another', async (t) => {
  const dead: Respond = (_request, response) => refuse(response, 503, 'WORKER_DIED')
  const cluster = await startCluster(t, [dead, works], { policy: 'round-robin' })
  await cluster.run()
  t.same(counts(cluster), [1, 1])
  cluster.nodes[1]!.respond = dead
  const error = await cluster.run().catch((error: unknown) => error)
  t.match(error, { code: 'WORKER_DIED', details: { attempts: [{ code: 'WORKER_DIED' }, { code: 'WORKER_DIED' }] } })
})

t.test('an error that any node would give is not retried elsewhere', async (t) => {
  for (const [status, code] of [[400, 'BAD_IMAGE'], [409, 'LIMIT_TOO_LOW']] as const) {
    const cluster = await startCluster(t, [1, 2].map(() => (_request, response) => refuse(response, status, code)))
    t.equal(await codeOf(cluster.run()), code)
    t.equal(counts(cluster).reduce((a, b) => a + b), 1)
  }
})

t.test('the cloud does not answer, a task is unknown, a node is gone', async (t) => {
  const cluster = await startCluster(t, [works, works], { policy: 'round-robin', refreshMs: 50, retries: 0 })
  await t.rejects(cluster.client.executeTask('face_detection', { image: JPEG }), { code: 'UNKNOWN_TASK' })
  await cluster.run()
  await cluster.cloud.stop()
  await wait(700)
  for (let call = 0; call < 4; call++) await cluster.run()
  t.equal(counts(cluster).reduce((a, b) => a + b), 5, 'the last list serves while the cloud is silent')
  await cluster.cloud.restart()
  cluster.nodes.pop()
  t.ok(await until(async () => {
    await cluster.run()
    return (await cluster.client.nodes('car_detection')).length === 1
  }))
  cluster.nodes.pop()
  t.ok(await until(async () => await codeOf(cluster.run()) === 'NO_WORKER'))
  await cluster.client.close()
  t.equal(await codeOf(cluster.run()), 'CLOSED')

  await using lost = EdgeInferClient.cluster('http://127.0.0.8:1', { retries: 0 })
  t.equal(await codeOf(lost.executeTask('car_detection', { image: JPEG })), 'NODE_UNREACHABLE')
})

t.test('options are checked', async (t) => {
  const policy = 'cheapest' as 'nearest'
  t.throws(() => EdgeInferClient.cluster('http://127.0.0.1', { policy }), {
    code: 'BAD_OPTION', message: /least-loaded, nearest/,
  })
})
