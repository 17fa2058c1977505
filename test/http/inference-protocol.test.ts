/** The Open Inference Protocol over real sockets; every result is the library's. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { createTask } from '../../lib/index.js'
import { native } from '../../lib/native.js'
import { repositoryPath } from '../helpers/shared.js'
import { sample, startServer } from './server.js'

const run = promisify(execFile)

interface Tensor {
  name: string
  datatype: string
  shape: number[]
  parameters?: { binary_data_size: number }
  data?: (number | string)[]
}

type Duration = Record<'count' | 'ns', number>

interface Statistics {
  name: string
  version: string
  last_inference: number
  inference_count: number
  execution_count: number
  inference_stats: Record<'success' | 'fail' | 'queue' | 'compute_input' | 'compute_infer' | 'compute_output', Duration>
  batch_stats: { batch_size: number; compute_infer: Duration }[]
}

interface Answer {
  status: number
  headers: Headers
  error?: string
  model_name?: string
  id?: string
  parameters?: { compute_latency: number; pid: number }
  outputs: Tensor[]
  /** Behind the JSON. */
  binary: Buffer
}

/** One BYTES element. */
function element(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

function floats(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer)
}

async function post(url: string, json: unknown, ...binary: Buffer[]): Promise<Answer> {
  const head = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json))
  const headers: Record<string, string> = binary.length === 0
    ? { 'content-type': 'application/json' }
    : { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.length) }
  const response = await fetch(url, { method: 'POST', headers, body: Buffer.concat([head, ...binary]) })
  const body = Buffer.from(await response.arrayBuffer())
  const length = Number(response.headers.get('inference-header-content-length') ?? body.length)
  const answer = JSON.parse(body.toString('utf8', 0, length)) as Omit<Answer, 'status' | 'headers' | 'binary'>
  return { ...answer, status: response.status, headers: response.headers, binary: body.subarray(length) }
}

/** What comes back over a socket, until the server closes it: the status line with headers, and the body. */
async function exchangeBytes(port: number, request: Buffer): Promise<{ answer: string; body: Buffer }> {
  const socket = connect(port, '127.0.0.1')
  socket.write(request)
  const received = Buffer.concat(await socket.toArray() as Buffer[])
  const end = received.indexOf('\r\n\r\n') + 4
  return { answer: received.toString('latin1', 0, end), body: received.subarray(end) }
}

function output(answer: Answer, name: string): Tensor {
  return answer.outputs.find((tensor) => tensor.name === name) as Tensor
}

t.test('the protocol', { timeout: 120_000 }, async (t) => {
  const { url, port } = await startServer(t, {
    tasks: { face_detection: { workers: 2 }, face_alignment: { workers: 1 }, car_detection: { workers: 1 } },
  })
  const [faces, car] = [await sample('faces'), await sample('car')]
  await using faceTask = await createTask('face_detection', { threads: 1 })
  await using poseTask = await createTask('face_alignment', { threads: 1 })
  await using carTask = await createTask('car_detection', { threads: 1 })
  const expected = await faceTask.run(faces)
  const boxes = expected.objects.map(({ box }) => [...box])
  const infer = `${url}/v2/models/face_detection/infer`

  await t.test('what the server is and has', async (t) => {
    const get = async (path: string, method = 'GET') => {
      const response = await fetch(`${url}${path}`, { method })
      return [response.status, await response.json()]
    }
    t.match(await get('/v2'), [200, { name: 'edge-infer', extensions: [
      'binary_tensor_data', 'model_repository', 'model_configuration', 'statistics',
    ] }])
    t.strictSame(await get('/v2/health/live'), [200, { live: true }])
    t.strictSame(await get('/v2/health/ready'), [200, { ready: true }])
    t.strictSame(await get('/v2/models/car_detection/ready'), [200, { name: 'car_detection', ready: true }])
    t.strictSame(await get('/v2/models/helmet_detection/ready'), [503, { name: 'helmet_detection', ready: false }])
    t.match(await get('/v2/models/face_alignment/versions/1'), [200, {
      name: 'face_alignment', versions: ['1'],
      inputs: [{ name: 'image', datatype: 'BYTES', shape: [-1] }, { name: 'boxes', datatype: 'FP32', shape: [-1, 4] }],
    }])
    const [, index] = await get('/v2/repository/index', 'POST') as [number, { name: string; state: string }[]]
    t.strictSame(index.map(({ state }) => state), ['READY', 'READY', 'READY', 'UNAVAILABLE'])
    t.match(await get('/v2/models/face_detection/versions/2'), [404, { error: /version 1 of face_detection.*"2"/ }])
    t.match(await get('/v2/models/ducks'), [404, { error: /face_detection.*"ducks"/ }])
    t.match(await get('/v2/models/ducks/config'), [404, { error: /face_detection.*"ducks"/ }])
    t.match(await get('/v2/models/ducks/stats'), [404, { error: /face_detection.*"ducks"/ }])
    for (const path of ['/v2/models/face_alignment/config', '/v2/models/face_alignment/versions/1/config']) {
      t.match(await get(path), [200, {
        name: 'face_alignment', platform: 'onnxruntime_onnx', backend: 'onnxruntime', max_batch_size: 0,
        input: [
          { name: 'image', data_type: 'TYPE_STRING', dims: [-1], optional: false },
          { name: 'boxes', data_type: 'TYPE_FP32', dims: [-1, 4], optional: true },
        ],
        output: [
          { name: 'angles', data_type: 'TYPE_FP32', dims: [-1, 3] },
          { name: 'image_index', data_type: 'TYPE_INT32', dims: [-1] },
          { name: 'image_size', data_type: 'TYPE_INT32', dims: [-1, 2] },
        ],
        instance_group: [{ name: 'face_alignment_0', kind: 'KIND_CPU', count: 1 }],
        parameters: { model: { string_value: String } },
      }])
    }
    const ask = async (body: string) => {
      const response = await fetch(`${url}/v2/repository/index`, { method: 'POST', body })
      return [response.status, await response.json()]
    }
    t.strictSame(await ask('{"ready":true}'), [200, index.filter(({ state }) => state === 'READY')])
    t.strictSame(await ask('{}'), [200, index])
    t.match(await ask('{"ready":1}'), [400, { error: /true or false but received 1/ }])
  })

  await t.test('statistics', async (t) => {
    const read = async (path: string) => {
      const { model_stats: [all, ...more] } = await (await fetch(`${url}/v2/models/${path}`)).json() as {
        model_stats: [Statistics, ...Statistics[]]
      }
      return [all, ...more] as const
    }
    const [before] = await read('face_detection/stats')
    const since = Date.now()
    const image = faces.toString('base64')
    const three = { inputs: [{ name: 'image', shape: [3], datatype: 'BYTES', data: [image, image, image] }] }
    t.equal((await post(infer, three)).status, 200)
    t.equal((await post(infer, { inputs: [] })).status, 400)
    const task = await fetch(`${url}/execute_task/face_detection`, {
      method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: faces,
    })
    t.equal(task.status, 200, 'the other routes count as well')
    await task.text()
    const [after] = await read('face_detection/versions/1/stats')
    const gained = (name: keyof Statistics['inference_stats']) =>
      after.inference_stats[name].count - before.inference_stats[name].count
    t.equal(after.inference_count - before.inference_count, 4, 'pictures')
    t.equal(after.execution_count - before.execution_count, 3, 'two workers share three pictures, one has the fourth')
    t.strictSame([gained('success'), gained('fail'), gained('queue'), gained('compute_infer')], [2, 1, 3, 3])
    t.ok(after.last_inference >= since)
    const stats = after.inference_stats
    const compute = stats.compute_input.ns + stats.compute_infer.ns + stats.compute_output.ns
    t.ok(stats.compute_infer.ns > 0 && Number.isInteger(compute))
    t.strictSame(after.batch_stats.map(({ batch_size: size }) => size).sort(), [1, 2])
    t.equal(after.batch_stats.reduce((sum, { compute_infer: { ns } }) => sum + ns, 0), stats.compute_infer.ns)
    t.strictSame((await read('stats')).map(({ name, version }) => `${name} ${version}`), [
      'face_detection 1', 'face_alignment 1', 'car_detection 1', 'helmet_detection 1',
    ])
  })

  await t.test('a picture behind the JSON', async (t) => {
    const tensor = element(faces)
    const answer = await post(infer, {
      id: 'one',
      inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: tensor.length } }],
    }, tensor)
    t.match(answer, { status: 200, model_name: 'face_detection', id: 'one', parameters: { pid: Number } })
    t.strictSame(output(answer, 'boxes').shape, [boxes.length, 4])
    t.strictSame(output(answer, 'boxes').data, boxes.flat())
    t.strictSame(output(answer, 'scores').data, expected.objects.map(({ score }) => score))
    t.strictSame(output(answer, 'labels').data, boxes.map(() => 'face'))
    t.strictSame(output(answer, 'image_size').data, [expected.width, expected.height])
    t.ok(answer.headers.get('content-type')?.startsWith('application/json'))
  })

  await t.test('several pictures in base64, shared by the workers; tensors of the answer as bytes', async (t) => {
    const answer = await post(infer, {
      parameters: { binary_data_output: true },
      inputs: [{ name: 'image', shape: [3, 1], datatype: 'BYTES', data: [[faces], [car], [faces]].map(([file]) =>
        [(file as Buffer).toString('base64')]) }],
      outputs: [{ name: 'image_index' }, { name: 'boxes' }, { name: 'labels', parameters: { binary_data: false } }],
    })
    t.equal(answer.status, 200)
    const [index, box, labels] = answer.outputs as [Tensor, Tensor, Tensor]
    t.equal(labels.data?.length, labels.shape[0])
    const sizes = [index, box].map(({ parameters }) => parameters?.binary_data_size ?? 0) as [number, number]
    t.equal(sizes[0] + sizes[1], answer.binary.length)
    const numbers = Buffer.from(answer.binary)
    const indices = [...new Int32Array(numbers.buffer, numbers.byteOffset, sizes[0] / 4)]
    t.strictSame(indices.filter((image) => image !== 1), [...boxes.map(() => 0), ...boxes.map(() => 2)])
    const first = numbers.subarray(sizes[0], sizes[0] + 16 * boxes.length)
    t.strictSame(first, floats(boxes.flat()))

    const named = await post(infer, { inputs: [{
      name: 'image', shape: [1], datatype: 'BYTES', parameters: { content_type: 'base64' },
      data: [faces.toString('base64')],
    }] })
    t.strictSame(output(named, 'boxes').data, boxes.flat(), 'base64 by name, as clients of MLServer have it')
  })

  await t.test('pixels, in either order', async (t) => {
    const pixels = await native.annotate({ kind: 'encoded', data: faces }, [], 'raw')
    const ask = async (data: Buffer, order?: string) => post(infer, {
      inputs: [{ name: 'image', shape: [expected.height, expected.width, 3], datatype: 'UINT8',
        parameters: { binary_data_size: data.length, ...(order && { color_order: order }) } }],
      outputs: [{ name: 'boxes' }],
    }, data)
    const swapped = Buffer.from(pixels)
    for (let at = 0; at < pixels.length; at += 3) {
      [swapped[at], swapped[at + 2]] = [pixels[at + 2] as number, pixels[at] as number]
    }
    const [bgr, rgb] = [await ask(pixels), await ask(swapped, 'rgb')]
    t.equal(bgr.status, 200)
    t.strictSame(rgb.outputs, bgr.outputs)
    t.strictSame(bgr.outputs[0]?.shape, [boxes.length, 4])
    t.match(await ask(pixels, 'hsv'), { status: 400, error: /bgr or rgb.*"hsv"/ })
  })

  await t.test('head poses of faces in a picture', async (t) => {
    const { poses } = await poseTask.run(faces, expected.objects.map(({ box }) => box))
    const [tensor, box] = [element(faces), floats(boxes.flat())]
    const answer = await post(`${url}/v2/models/face_alignment/infer`, {
      inputs: [
        { name: 'image', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: tensor.length } },
        { name: 'boxes', shape: [boxes.length, 4], datatype: 'FP32', parameters: { binary_data_size: box.length } },
      ],
    }, tensor, box)
    t.strictSame(output(answer, 'angles').shape, [boxes.length, 3])
    const angles = poses.flatMap(({ yaw, pitch, roll }) => [yaw, pitch, roll])
    t.ok(
      output(answer, 'angles').data?.every(
        (angle, index) => Math.abs(angle as number - (angles[index] as number)) < 0.1,
      ),
    )
  })

  await t.test('a caller in Python, as Triton\'s writes its requests', async (t) => {
    const picture = join(t.testdir(), 'car.jpg')
    writeFileSync(picture, car)
    const { stdout } = await run(
      'python3', [repositoryPath('test', 'http', 'inference_caller.py'), String(port), picture],
    )
    const found = (await carTask.run(car)).objects
    const answer = JSON.parse(stdout) as { boxes: number[]; labels: string[] }
    t.match(answer, { status: 200, id: 'from-python', left: 0 })
    t.ok(found.length > 0)
    t.strictSame(answer.labels, found.map(({ label }) => label))
    t.strictSame(answer.boxes, found.flatMap(({ box }) => [...box]))
  })

  await t.test('byte by byte, as Triton\'s client in Python writes a request: without a content type', async (t) => {
    const scores = expected.objects.map(({ score }) => score)
    const n = scores.length
    const head = '{"id":"42","inputs":[{"name":"image","shape":[1],"datatype":"BYTES",' +
      `"parameters":{"binary_data_size":${faces.length + 4}}}],"outputs":[` +
      '{"name":"boxes","parameters":{"binary_data":true}},' +
      '{"name":"labels","parameters":{"binary_data":true}},' +
      '{"name":"scores","parameters":{"binary_data":false}}]}'
    const { answer, body } = await exchangeBytes(port, Buffer.concat([
      Buffer.from('POST /v2/models/face_detection/infer HTTP/1.1\r\n' +
        `Host: 127.0.0.1:${port}\r\nInference-Header-Content-Length: ${head.length}\r\n` +
        `Content-Length: ${head.length + 4 + faces.length}\r\nConnection: close\r\n\r\n${head}`),
      Buffer.of(faces.length & 0xff, faces.length >> 8 & 0xff, faces.length >> 16 & 0xff, faces.length >>> 24), faces,
    ]))
    t.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*\r\ncontent-type: application\/octet-stream\r\n/)
    const length = Number(/\r\ninference-header-content-length: (\d+)\r\n/.exec(answer)?.[1])
    const cost = /"parameters":\{"compute_latency":[\d.e-]+,"pid":\d+\}/
    t.equal(body.toString('latin1', 0, length).replace(cost, '"parameters":{}'),
      '{"model_name":"face_detection","model_version":"1","parameters":{},"id":"42","outputs":[' +
      `{"name":"boxes","datatype":"FP32","shape":[${n},4],"parameters":{"binary_data_size":${16 * n}}},` +
      `{"name":"labels","datatype":"BYTES","shape":[${n}],"parameters":{"binary_data_size":${8 * n}}},` +
      `{"name":"scores","datatype":"FP32","shape":[${n}],"data":[${scores.join(',')}]}]}`)
    const labels = Buffer.from('\x04\0\0\0face'.repeat(n), 'latin1')
    t.strictSame(body.subarray(length), Buffer.concat([floats(boxes.flat()), labels]))
  })

  await t.test('what a request leaves open', async (t) => {
    const inputs = [{ name: 'image', shape: [1], datatype: 'BYTES', data: [faces.toString('base64')] }]
    const answer = await post(infer, { id: null, inputs, outputs: [], parameters: { timeout: 0 } })
    t.equal(answer.status, 200, 'a timeout of 0 is none')
    const all = ['boxes', 'scores', 'class_ids', 'labels', 'image_index', 'image_size']
    t.strictSame(answer.outputs.map(({ name }) => name), all, 'no outputs named: all of them')
    t.notOk('id' in answer)
    const page = await fetch(`${url}/v2`, { headers: { origin: 'http://127.0.0.1:1' } })
    t.match(
      page.headers.get('access-control-expose-headers'), /inference-header-content-length/, 'pages see the length',
    )
    const { paths } = await (await fetch(`${url}/openapi.json`)).json() as {
      paths: Record<string, { post: { parameters: { in: string; name: string }[] } }>
    }
    const documented = paths['/v2/models/{model}/infer']?.post.parameters.map((one) => `${one.in} ${one.name}`).sort()
    t.strictSame(documented, ['header content-encoding', 'header inference-header-content-length', 'path model'])
  })

  await t.test('what is wrong is named, and is the caller\'s', async (t) => {
    const image = { name: 'image', shape: [1], datatype: 'BYTES' }
    const inText = { ...image, data: [faces.toString('base64')] }
    const sized = (size: number) => ({ inputs: [{ ...image, parameters: { binary_data_size: size } }] })
    const refused: [RegExp, unknown, Buffer?][] = [
      [/no JSON/, '{"inputs":'],
      [/JSON object but received \[\]/, []],
      [/non-empty list of inputs but received undefined/, {}],
      [/non-empty list of inputs but received \[\]/, { inputs: [] }],
      [/input to be an object with a name/, { inputs: [{ datatype: 'BYTES' }] }],
      [/datatype of UINT8, .*"FP8"/, { inputs: [{ ...inText, datatype: 'FP8' }] }],
      [/shape of image/, { inputs: [{ ...inText, shape: [-1] }] }],
      [/2 elements of image by its shape but received 1/, { inputs: [{ ...inText, shape: [2] }] }],
      [/inputs of image for face_detection but received sound/, { inputs: [{ ...inText, name: 'sound' }] }],
      [/image twice/, { inputs: [inText, inText] }],
      [
        /1 to 64 images but received 65/, {
          inputs: [{ ...image, shape: [65], data: Array.from({ length: 65 }, () => '') }],
        },
      ],
      [
        /pixels of image behind the JSON/, {
          inputs: [{ ...image, datatype: 'UINT8', shape: [1, 1, 3], data: [1, 2, 3] }],
        },
      ],
      [/outputs of boxes, .* received sound/, { inputs: [inText], outputs: [{ name: 'sound' }] }],
      [/binary_data_size of image .* 3 bytes .* received 9/, sized(9), Buffer.from('abc')],
      [/element 0 of image to end within its 8 bytes/, sized(8), Buffer.from([9, 0, 0, 0, 1, 2, 3, 4])],
      [/8 bytes behind the JSON but received 9/, sized(8), Buffer.alloc(9)],
      [/each output once but received boxes twice/,
        { inputs: [inText], outputs: [{ name: 'boxes' }, { name: 'boxes' }] }],
      [/scores to be asked for as a tensor but received classification/,
        { inputs: [inText], outputs: [{ name: 'scores', parameters: { classification: 2 } }] }],
      [/as a tensor but received shared_memory_region/,
        { inputs: [inText], outputs: [{ name: 'scores', parameters: { shared_memory_region: 'results' } }] }],
      [/for timeout but received "soon"/, { inputs: [inText], parameters: { timeout: 'soon' } }],
      [/for timeout but received \[object Object\]/, { inputs: [inText], parameters: { timeout: { toString: 1 } } }],
      [/name of each input to be short/, { inputs: [{ ...inText, name: 'x'.repeat(1e6) }] }],
    ]
    for (const [error, json, binary] of refused) {
      t.match(await post(infer, json, ...(binary ? [binary] : [])), { status: 400, error }, String(error))
    }
    const noPicture = { inputs: [{ ...image, data: [Buffer.from('no picture').toString('base64')] }] }
    t.match(await post(infer, noPicture), { status: 400, error: /image/i })
    t.match(
      await post(infer, `{"inputs":[],"more":"${'x'.repeat(5 * 2 ** 20)}"}`), {
        status: 413, error: /4194304 bytes of JSON/,
      },
    )
    t.match(
      await post(infer, { inputs: [inText], parameters: { timeout: 1 } }), {
        status: 504, error: /not answered within/,
      },
    )
    const inBoxes = (data: string) => `{"inputs":[{"name":"boxes","shape":[1],"datatype":"FP32","data":${data}}]}`
    const hostile = ['['.repeat(2e6) + ']'.repeat(2e6), `[${'{},'.repeat(1.3e6)}{}]`, `[${'"",'.repeat(1.3e6)}""]`]
    for (const data of hostile) {
      t.match(await post(infer, inBoxes(data)), { status: 413, error: /65536 lists/ }, data.slice(0, 6))
    }
    const commas = { inputs: [{ ...image, data: ['\\",[{'.repeat(1e5)] }] }
    t.match(await post(infer, commas), { status: 400 }, 'what is inside a text does not count')
    const helmets = await post(`${url}/v2/models/helmet_detection/infer`, { inputs: [inText] })
    t.match(helmets, { status: 503, error: /helmet_detection has no worker/ })
    const typed = await fetch(infer, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: faces })
    t.match([typed.status, await typed.json()], [415, { error: /application\/octet-stream but received image\/jpeg/ }])
    const lying = await fetch(infer, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': '99999999' },
      body: faces,
    })
    t.match([lying.status, await lying.json()], [400, { error: /Inference-Header-Content-Length/ }])
    const named = /Inference-Header-Content-Length must say how long the JSON is/
    const tensor = element(faces)
    const unmeasured = await fetch(infer, {
      method: 'POST', body: Buffer.concat([Buffer.from(JSON.stringify(sized(tensor.length))), tensor]),
    })
    t.match([unmeasured.status, await unmeasured.json()], [400, { error: named }])
    t.match(await post(infer, sized(9)), { status: 400, error: named })
    const body = JSON.stringify({ inputs: [inText] })
    for (const length of [`0x${body.length.toString(16)}`, `${body.length}.0`, '']) {
      const wrong = await fetch(infer, { method: 'POST', headers: { 'inference-header-content-length': length }, body })
      t.match(
        [wrong.status, await wrong.json()], [400, { error: /Inference-Header-Content-Length/ }],
        `a length of ${length}`,
      )
    }
    t.equal((await post(infer, { inputs: [inText] })).status, 200, 'and others are served')
  })

  await t.test('no JSON at all: the body is the picture, as in raw binary requests of Triton', async (t) => {
    const raw = async (body: Buffer, length = '0') => {
      const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': length }
      const response = await fetch(infer, { method: 'POST', headers, body })
      return { status: response.status, ...await response.json() as Omit<Answer, 'status'> }
    }
    const answer = await raw(faces)
    t.equal(answer.status, 200)
    const inText = { name: 'image', datatype: 'BYTES', shape: [1], data: [faces.toString('base64')] }
    t.strictSame(output(answer, 'boxes').data, output(await post(infer, { inputs: [inText] }), 'boxes').data)
    t.match(await raw(faces.subarray(0, 1000)), { status: 400, error: /JPEG/ })
    t.match(await raw(Buffer.alloc(0)), { status: 400, error: /empty body/ })
  })

  await t.test('millions of empty elements cost nothing', async (t) => {
    const size = 32 * 2 ** 20
    const memory = process.memoryUsage.rss()
    const answer = await post(infer, {
      inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: size } }],
    }, Buffer.alloc(size))
    t.match(answer, { status: 400, error: /1 elements of image by its shape but received more/ })
    // The body itself, here and there, is a few times its size.
    t.ok(process.memoryUsage.rss() - memory < 10 * size)
  })
})
