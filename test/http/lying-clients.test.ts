import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { head, RawClient, type RawReply } from './raw-client.js'
import { post, sample, startServer, TEXT_FORMS } from './server.js'

const PATH = '/execute_task/face_detection'
const SECOND = 1000

const { port, url, workers } = await startServer(t, {
  tasks: { face_detection: { workers: 1 } },
  settings: {
    headersTimeout: SECOND, bodyStallTimeout: SECOND, requestTimeout: 3 * SECOND, timeoutCheckInterval: 100,
  },
})
const faces = await sample('faces')
const good = Buffer.from(JSON.stringify({ image: TEXT_FORMS.literal(faces) }))

/** Someone who behaves and must not notice the others. */
let served = 0
let over = false
const neighbour = (async () => {
  while (!over) {
    const { status } = await post(url + PATH, faces, { 'content-type': 'image/jpeg' })
    if (status !== 200) throw new Error(`a good caller was answered ${status}`)
    served++
    await delay(20)
  }
})()

t.teardown(() => (over = true))

function refused(t: Test, { status, body }: RawReply, expected: number, code: string, message?: RegExp): void {
  t.equal(status, expected)
  t.match(body, {
    execute_flag: false,
    error: { code, message: message ?? String },
    proc_resource_info: {
      cpu_util_limit: 1, cpu_util_use: 0, mem_util_limit: 1, mem_util_use: 0, compute_latency: 0, latency: 0, pid: 0,
      all_latency: Number, device_ip: '127.0.0.9',
    },
    task_conf: { fps: null },
  })
}

async function client<T>(work: (client: RawClient) => Promise<T>): Promise<T> {
  const raw = new RawClient(port)
  try {
    return await work(raw)
  } finally {
    raw.close()
  }
}

/** Posts a whole body; the connection must be of use afterwards. */
async function sendBody(
  t: Test, body: Buffer | string, expected: number, code: string, message?: RegExp,
): Promise<void> {
  await client(async (raw) => {
    const sending = raw.send(head(PATH, Buffer.byteLength(body)), body)
    refused(t, await raw.reply(), expected, code, message)
    await sending
    await raw.send(head(PATH, good.length), good)
    t.equal((await raw.reply()).status, 200, 'the connection goes on')
  })
}

t.test('a head that never ends, and one that drips', async (t) => {
  await Promise.all([
    client(async (raw) => {
      await raw.send('POST /execute_task/face_detection HTTP/1.1\r\nHost: te')
      refused(t, await raw.reply(), 408, 'REQUEST_TIMEOUT')
    }),
    client(async (raw) => {
      const drip = setInterval(() => void raw.send('x'), 50)
      await raw.send('GET / HTTP/1.1\r\nX-Slow: ')
      refused(t, await raw.reply().finally(() => clearInterval(drip)), 408, 'REQUEST_TIMEOUT')
    }),
    client(async (raw) => refused(t, await raw.reply(), 408, 'REQUEST_TIMEOUT')),
  ])
})

t.test('a body that stops, that drips, and that ends too early', async (t) => {
  await Promise.all([
    client(async (raw) => {
      await raw.send(head(PATH, good.length), good.subarray(0, 1000))
      refused(t, await raw.reply(), 408, 'REQUEST_TIMEOUT', /nothing came for 1 s/)
    }),
    client(async (raw) => {
      const drip = setInterval(() => void raw.send('x'), 100)
      await raw.send(head(PATH, good.length))
      refused(t, await raw.reply().finally(() => clearInterval(drip)), 408, 'REQUEST_TIMEOUT', /within 3 s/)
    }),
    client(async (raw) => {
      await raw.send(head(PATH, good.length), good.subarray(0, 1000))
      raw.socket.end()
      refused(t, await raw.reply(), 400, 'BAD_REQUEST', /ended the connection/)
    }),
    client(async (raw) => {
      await raw.send(head(PATH, 10), '{"image": "b\'\\\\xff\'"}')
      refused(t, await raw.reply(), 400, 'BAD_IMAGE')
      refused(t, await raw.reply(), 400, 'BAD_REQUEST', /received something else/)
    }),
  ])
})

t.test('bodies that are too large', async (t) => {
  const block = Buffer.alloc(2 ** 20, 'x')
  const blocks = Array.from({ length: 65 }, () => block)
  await client(async (raw) => {
    await raw.send(head(PATH, 65 * 2 ** 20), ...blocks)
    refused(t, await raw.reply(), 413, 'TOO_LARGE', /67108864/)
    await raw.send(head(PATH, good.length), good)
    t.equal((await raw.reply()).status, 200, 'the connection goes on')
  })
  await client(async (raw) => {
    await raw.send(head(PATH, undefined, 'Transfer-Encoding: chunked'))
    await raw.send(...blocks.flatMap((part) => [`${part.length.toString(16)}\r\n`, part, '\r\n']))
    refused(t, await raw.reply(), 413, 'TOO_LARGE')
  })
  await client(async (raw) => {
    await raw.send(head(PATH, 10 ** 13))
    refused(t, await raw.reply(), 413, 'TOO_LARGE')
    await raw.send(...Array.from({ length: 400 }, () => block))
    await delay(100)
    t.ok(raw.closed, 'what is sent all the same is not taken for ever')
  })
})

t.test('a caller that reads only after it has sent everything gets its answer, though it keeps no connection', (t) =>
  client(async (raw) => {
    raw.socket.pause()
    const half = Buffer.alloc(2 ** 20)
    await raw.send(head('/execute_task/nothing', 2 * half.length, 'Connection: close'), half)
    await delay(SECOND / 2)
    await raw.send(half)
    raw.socket.resume()
    refused(t, await raw.reply(), 404, 'UNKNOWN_TASK')
  }))

t.test('a body that is announced, with Expect: 100-continue', async (t) => {
  await client(async (raw) => {
    await raw.send(head(PATH, good.length, 'Expect: 100-continue'))
    t.equal((await raw.interim()), 100)
    await raw.send(good)
    t.equal((await raw.reply()).status, 200)
    await raw.send(head(PATH, good.length, 'Expect: 100-continue'), good)
    t.equal((await raw.interim()), 100)
    t.equal((await raw.reply()).status, 200, 'and the connection goes on')
  })
  const refusals: [string, string[], number, string][] = [
    [PATH, ['Content-Length: 10000000000000'], 413, 'TOO_LARGE'],
    [PATH, ['Content-Length: 99', 'Content-Encoding: br'], 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['/execute_task/cats', ['Content-Length: 99'], 404, 'UNKNOWN_TASK'],
  ]
  for (const [path, headers, status, code] of refusals) {
    await client(async (raw) => {
      await raw.send(head(path, undefined, ...headers, 'Expect: 100-continue'))
      const reply = await raw.reply()
      refused(t, reply, status, code)
      t.equal(reply.headers.connection, 'close', 'no body is waited for')
      while (!raw.socket.readableEnded) await delay(5)
    })
  }
  await client(async (raw) => {
    const sending = raw.send(
      head(PATH, 65 * 2 ** 20, 'Expect: 100-continue'), ...Array.from({ length: 65 }, () => Buffer.alloc(2 ** 20)))
    refused(t, await raw.reply(), 413, 'TOO_LARGE', /67108864/)
    await sending
  })
})

t.test('JSON that is not what it should be', async (t) => {
  const deep = 10 ** 6
  await sendBody(t, `{"bbox":${'['.repeat(deep)}${']'.repeat(deep)}}`, 400, 'BAD_REQUEST')
  await sendBody(t, `{"image":${'['.repeat(deep)}`, 400, 'BAD_IMAGE')
  await sendBody(t, '{"a":'.repeat(deep), 400, 'BAD_REQUEST')
  await sendBody(t, '[]', 400, 'BAD_REQUEST')
  await sendBody(t, `{"image": "${TEXT_FORMS.base64(faces)}"`, 400, 'BAD_REQUEST')
  await sendBody(t, '', 400, 'BAD_REQUEST')
  await sendBody(t, '{}', 400, 'BAD_IMAGE')
  await sendBody(t, '{"image": 7}', 400, 'BAD_IMAGE')
  await sendBody(t, '{"image": "not a picture"}', 400, 'BAD_IMAGE')
  await sendBody(t, Buffer.concat([
    Buffer.from('{"image":"'), Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('"}'),
  ]), 400, 'BAD_IMAGE')
  const image = TEXT_FORMS.base64(faces)
  await sendBody(t, `{"image":"${image}","image":"${image}"}`, 400, 'BAD_REQUEST', /twice|once/)
  await sendBody(t, `{"image":"${image}","note":${JSON.stringify('x'.repeat(2 ** 21))}}`, 413, 'TOO_LARGE')
  await sendBody(
    t, `{"image_list":[${Array.from({ length: 65 }, () => `"${image.slice(0, 100)}"`).join(',')}]}`, 413, 'TOO_LARGE',
  )
  await sendBody(t, `{"image":"${image}","timeout_ms":"soon"}`, 400, 'BAD_REQUEST', /timeout_ms/)
  const row = `[${Array.from({ length: 1280 }, () => '[1,2,3]').join(',')}]`
  const ragged = row.replace(/,\[1,2,3\]\]$/, ']')
  await sendBody(
    t, `{"image":[${Array.from({ length: 719 }, () => row).join(',')},${ragged}]}`, 400, 'BAD_IMAGE', /row/i,
  )
})

t.test('no HTTP, headers without end, an odd Expect, no Host', async (t) => {
  await client(async (raw) => {
    await raw.send('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')
    refused(t, await raw.reply(), 400, 'BAD_REQUEST')
  })
  await client(async (raw) => {
    await raw.send(`GET / HTTP/1.1\r\nHost: test\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)
    refused(t, await raw.reply(), 431, 'TOO_LARGE')
  })
  await client(async (raw) => {
    await raw.send(head(PATH, 2, 'Expect: miracles'), '{}')
    refused(t, await raw.reply(), 417, 'BAD_REQUEST')
  })
  await client(async (raw) => {
    await raw.send('GET /healthz HTTP/1.1\r\n\r\n')
    t.equal((await raw.reply()).status, 200)
  })
  await client(async (raw) => {
    await raw.send('POST /execute_task/%zz HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n')
    refused(t, await raw.reply(), 400, 'BAD_REQUEST')
  })
})

t.test('what breaks off in the middle is refused in the form of its route, after what came before', async (t) => {
  const broken = (path: string): string => `${head(path, undefined, 'Transfer-Encoding: chunked')}zz\r\n`
  await client(async (raw) => {
    await raw.send(head(PATH, good.length), good, broken(PATH))
    t.equal((await raw.reply()).status, 200)
    refused(t, await raw.reply(), 400, 'BAD_REQUEST', /chunk size/)
  })
  await client(async (raw) => {
    await raw.send(head(PATH, good.length), good, 'nonsense\r\n\r\n')
    t.equal((await raw.reply()).status, 200)
    refused(t, await raw.reply(), 400, 'BAD_REQUEST', /HTTP\/1.1/)
  })
  await client(async (raw) => {
    await raw.send(broken('/limit_task_resource'))
    const { status, body } = await raw.reply()
    t.match([status, body], [400, { limit_flag: false, error: { code: 'BAD_REQUEST', message: /chunk size/ } }])
  })
  await client(async (raw) => {
    await raw.send(broken('/v2/models/face_detection/infer'))
    const { status, body } = await raw.reply()
    t.match([status, body], [400, { error: /chunk size/ }])
  })
  await client(async (raw) => {
    await raw.send(head(PATH, undefined, 'Transfer-Encoding: chunked'), '1\r\n{}\r\n0\r\n\r\n')
    refused(t, await raw.reply(), 400, 'BAD_REQUEST', /chunk/)
  })
  await client(async (raw) => {
    await raw.send('CONNECT elsewhere:80 HTTP/1.1\r\nHost: elsewhere\r\n\r\n')
    refused(t, await raw.reply(), 405, 'METHOD_NOT_ALLOWED')
  })
})

t.test('content types and byte order marks', async (t) => {
  const kinds: [string, RegExp][] = [
    [PATH, /application\/json, image\/jpeg, .* but received (garbage|text\/html)/],
    ['/limit_task_resource', /of application\/json but received (garbage|text\/html)/],
    ['/v2/models/face_detection/infer', /json or application\/octet-stream but received (garbage|text)/],
  ]
  for (const [path, message] of kinds) {
    for (const type of ['garbage', 'text/html']) {
      const { status, body } = await post(url + path, Buffer.from('{}'), { 'content-type': type })
      t.match([status, JSON.stringify(body)], [415, message])
    }
  }
  const marked = Buffer.concat([Buffer.from('\ufeff'), good])
  for (const type of ['application/json', 'application/octet-stream']) {
    t.equal((await post(url + PATH, marked, { 'content-type': type })).status, 200, `a mark, ${type}`)
  }
  for (const type of ['application/json', 'text/plain']) {
    const { body } = await post(
      `${url}/limit_task_resource`, Buffer.from('\ufeff{"task_name":"cats"}'), { 'content-type': type })
    t.match(body, { limit_flag: false, error: { code: 'UNKNOWN_TASK' } })
  }
  const wide = await post(url + PATH, Buffer.from('\ufeff{}', 'utf16le'), { 'content-type': 'application/json' })
  t.match(wide, { status: 400, body: { error: { code: 'BAD_REQUEST', message: /UTF-8 but received UTF-16/ } } })
})

t.test('requests in a row without waiting are answered in their order', async (t) => {
  await client(async (raw) => {
    const requests = [head(PATH, good.length), good, 'GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n', head(PATH, 2), '{}']
    await raw.send(...requests, ...requests)
    for (const status of [200, 200, 400, 200, 200, 400]) t.equal((await raw.reply()).status, status)
  })
})

t.test('a caller who leaves takes its work along', async (t) => {
  const many = Array.from({ length: 20 }, () => new RawClient(port))
  for (const raw of many) void raw.send(head(PATH, good.length), good, head(PATH, good.length), good)
  await delay(100)
  many.forEach((raw) => raw.close())
  const deadline = performance.now() + 90 * SECOND
  while ((workers.workers('face_detection')[0]?.taskToDo ?? 0) > 1 && performance.now() < deadline) await delay(20)
  t.ok((workers.workers('face_detection')[0]?.taskToDo ?? 0) <= 1, 'at most the good caller is left')
})

t.test('all the while the good caller was served', async (t) => {
  over = true
  await neighbour
  t.ok(served > 10, `${served} times`)
})
