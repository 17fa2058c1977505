/** The client against real nodes: `edge-infer serve` in processes of their own, with real models and pictures. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { decodeImage, EdgeInferClient, type BoundingBox, type ClientImage } from '../../lib/client/index.js'
import { resolveSample } from '../../lib/models/index.js'
import { createTask } from '../../lib/tasks/index.js'
import { spawnCli } from '../cli/run.js'
import { codeOf, json, TestNode } from './helpers.js'

const START_MS = 120_000

const faces = await readFile(await resolveSample('faces'))
const car = await readFile(await resolveSample('car'))

interface ServedNode {
  url: string
  kill(signal: NodeJS.Signals): Promise<void>
  pause(): void
}

async function serve(t: Test, host: string, port: number, ...args: string[]): Promise<ServedNode> {
  const child = spawnCli(['serve', '--host', host, '--port', String(port), '--log-level', 'error', ...args])
  child.stdout.resume()
  const ended = once(child, 'close')
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill('SIGCONT')
    child.kill(signal)
    await ended
  }
  t.teardown(() => kill('SIGKILL'))
  let said = ''
  for await (const chunk of child.stderr) {
    said += String(chunk)
    const url = /Listening on (http:\S+)/.exec(said)?.[1]
    if (url !== undefined) {
      child.stderr.on('data', () => {})
      return { url, kill, pause: () => { child.kill('SIGSTOP') } }
    }
  }
  throw new Error(`serve ended before it listened: ${said}`)
}

const nearly = (a: readonly BoundingBox[], b: readonly BoundingBox[], pixels: number): boolean =>
  a.length === b.length && a.every((box, i) => box.every((side, j) => Math.abs(side - (b[i]?.[j] ?? NaN)) <= pixels))

t.test('every encoding of a picture and every route against a real node', { timeout: START_MS }, async (t) => {
  const node = await serve(t, '127.0.0.2', 0, '--task', 'face_detection=2,face_alignment=1,car_detection=1')
  await using client = new EdgeInferClient(node.url)
  await using detector = await createTask('face_detection', { threads: 1 })
  const expected = (await detector.run(faces, { crops: true })).objects.map(({ box }) => box)
  t.ok(expected.length >= 3)

  const found = await client.executeTask('face_detection', { image: faces }, { taskConf: { fps: 12 }, render: true })
  t.ok(nearly(found.bbox, expected, 0.01))
  t.match(found.task_conf, { fps: 12, resolution: { w: 1920, h: 1398 } })
  const { all_latency, compute_latency, device_ip } = found.proc_resource_info
  t.ok(all_latency > compute_latency && compute_latency > 0)
  t.equal(device_ip, '127.0.0.2')
  const files = [...found.faces, found.image as string].map((text) => Buffer.from(decodeImage(text)))
  t.ok(files.every((file) => file.readUInt16BE(0) === 0xffd8))

  await using asBase64 = new EdgeInferClient(node.url, { imageEncoding: 'base64' })
  await using asLiteral = new EdgeInferClient(node.url, { imageEncoding: 'bytes-literal' })
  for (const other of [asBase64, asLiteral]) {
    const { bbox, faces: crops } = await other.executeTaskNew('face_detection', { image: faces })
    t.ok(nearly(bbox, expected, 0.01))
    t.same(crops.map((text) => Buffer.from(decodeImage(text))), files.slice(0, -1), 'the same crops in another form')
  }

  const fromAnswer = await client.executeTask('face_alignment', found)
  const fromFiles = await client.executeTask('face_alignment', { faces: files.slice(0, -1), bbox: found.bbox })
  const fromBoxes = await client.executeTaskOld('face_alignment', { image: faces, bbox: found.bbox, prob: found.prob })
  t.same(fromAnswer.head_pose, fromFiles.head_pose)
  t.same(fromAnswer.count_result, fromFiles.count_result)
  const [pose, posed] = [fromAnswer.head_pose[0], fromBoxes.head_pose[0]]
  t.ok(pose && posed && pose.every((value, index) => Math.abs(value - (
    posed[index] as number
  )) < 5), `${pose} ${posed}`)
  t.same(fromAnswer.task_conf, { fps: 12, resolution: { w: 1920, h: 1398 } })

  const list: ClientImage[] = [faces, car, { path: await resolveSample('faces') }]
  for (const image_list of [list, [faces.toString('base64'), ...list.slice(1)]]) {
    const several = await client.concurrentExecuteTask('face_detection', { image_list })
    t.same(several.output_ctx_list.map(({ bbox }) => bbox.length), [expected.length, 0, expected.length])
    const pids = several.proc_resource_info_list.map(({ pid }) => pid)
    t.ok(pids.length >= 1 && new Set(pids).size === pids.length, `one entry a worker: ${pids}`)
  }
  const { count_result, result, label, proc_resource_info: { pid: carPid } } =
    await client.executeTask('car_detection', { image: car })
  t.equal(count_result.car, result.filter(([, , , , , classId]) => classId === 2).length)
  t.same(label.map((name) => name === 'car'), result.map(([, , , , , classId]) => classId === 2))

  const { role, nodes } = await client.getNodes()
  t.match({ role, nodes }, { role: 'cloud', nodes: [{ kind: 'self', lost: false, ip: '127.0.0.2' }] })
  const { car_detection: cars, face_detection: faceService } = nodes[0]?.service_state ?? {}
  t.match(cars?.workers, [{ pid: carPid, model: 'yolov8n', cpu_util_limit: 1, p50_ms: Number, p99_ms: Number }])
  t.equal(faceService?.workers.length, 2)

  t.same(await client.getServiceList(), ['face_detection', 'face_alignment', 'car_detection'])
  t.ok(await client.readyz() && await client.healthz())
  const { pid } = await client.addWorkProcess('car_detection', { conf_thres: 0.9 })
  t.equal((await client.decreaseWorkProcess('car_detection')).pid, pid)
  t.equal(await codeOf(client.decreaseWorkProcess('car_detection')), 'LAST_WORKER')
  t.equal(await codeOf(client.addWorkProcess('car_detection', { conf_thres: 7 })), 'BAD_MODEL_CTX')
  t.equal(await codeOf(client.limitProcessResource(1, 'car_detection', { cpu_util_limit: 0.5 })), 'UNKNOWN_PID')
  t.equal(await codeOf(client.executeTask('face_detection', { image: faces.subarray(0, 300) })), 'BAD_IMAGE')
  t.match(await client.executeTask('helmet_detection', { image: faces }).catch((error: unknown) => error), {
    code: 'NO_WORKER', details: { httpStatus: 503, reply: { execute_flag: false, proc_resource_info: { pid: 0 } } },
  })
})

t.test('a killed node, a frozen node, a working node: no call fails', { timeout: START_MS }, async (t) => {
  const hosts = ['127.0.0.3', '127.0.0.4', '127.0.0.5']
  const nodes = await Promise.all(hosts.map((host) => serve(t, host, 0, '--task', 'car_detection=1', '--threads', '1')))
  const cloud = await TestNode.start(t, (_request, response) => json(response, Object.fromEntries(nodes.map(({ url }) =>
    [new URL(url).host, { url: `${url}/execute_task/car_detection`, bandwidth: 0, cpu: 1, mem: 1 }]))))
  await using cluster = EdgeInferClient.cluster(cloud.url, {
    policy: 'round-robin', attemptTimeoutMs: 5000, penaltyMs: 1000, timeoutMs: 90_000,
  })
  const run = async (): Promise<string> =>
    (await cluster.executeTask('car_detection', { image: car })).proc_resource_info.device_ip
  t.same((await Promise.all([run(), run(), run()])).sort(), hosts)

  const [killed, frozen] = nodes as [ServedNode, ServedNode]
  const under = Array.from({ length: 6 }, run)
  await Promise.all([killed.kill('SIGKILL'), frozen.pause()])
  t.equal((await Promise.all(under)).length, 6, 'calls under way are done elsewhere')
  t.same(await Promise.all([run(), run(), run(), run()]), Array(4).fill('127.0.0.5'))

  await serve(t, '127.0.0.3', Number(new URL(killed.url).port), '--task', 'car_detection=1', '--threads', '1')
  const served = new Set<string>()
  for (let call = 0; call < 500 && served.size < 2; call++) served.add(await run())
  t.same([...served].sort(), ['127.0.0.3', '127.0.0.5'], 'the one that returned is used again, the frozen one is not')
})
