/** A whole server in a memory group of 256 MiB, and more large uploads at once than fit. */
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { serveInProcess } from '../cli/serve-process.js'
import { noGroup, TestGroup } from '../helpers/groups.js'
import { people } from '../helpers/pictures.js'
import { until } from '../helpers/processes.js'
import { bitmap } from '../workers/helpers.js'
import { nestedList } from './server.js'

const MEBIBYTE = 2 ** 20

interface Upload {
  type: string
  body: Buffer
  /** Whether people are to be found in it. */
  hasPeople?: boolean
  /** Without a Content-Length. */
  chunked?: boolean
  /** Milliseconds the caller takes to send it. */
  slowMs?: number
}

interface Reply {
  status: number
  retryAfter: string | undefined
  body: { bbox?: unknown[]; error?: { code: string } }
}

function post(url: string, { type, body, chunked, slowMs = 0 }: Upload): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length }
    const call = request(`${url}/execute_task_old/face_detection`, {
      method: 'POST', agent: false, headers: { 'content-type': type, ...length },
    }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
      response.on('error', reject).on('end', () => resolve({
        status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'],
        body: JSON.parse(text) as Reply['body'],
      }))
    })
    call.on('error', reject)
    void send(call, body, slowMs)
  })
}

async function send(call: ReturnType<typeof request>, body: Buffer, slowMs: number): Promise<void> {
  const parts = slowMs === 0 ? 1 : 20
  for (let part = 0; part < parts; part++) {
    call.write(body.subarray(part * body.length / parts, (part + 1) * body.length / parts))
    if (slowMs > 0) await sleep(slowMs / parts)
  }
  call.end()
}

/** Grey pixels take three times as much when they have become colours: the most that a list's text can hold. */
function greyList(width: number, height: number): Buffer {
  const row = `[${Array.from({ length: width }, () => '7').join(',')}]`
  return Buffer.from(`{"image": [${Array.from({ length: height }, () => row).join(',')}]}`)
}

const skip = noGroup('memory')

t.test('a burst of large uploads leaves a server of 256 MiB alive, and its memory goes back', { skip }, async (t) => {
  const group = new TestGroup(t, 'memory', { 'memory.limit_in_bytes': 256 * MEBIBYTE })
  const server = await serveInProcess(t, ['--task', 'face_detection=1'], { prefix: group.prefix })
  const used = (): number => Number(group.read('memory.usage_in_bytes'))
  const [file, atStart] = [bitmap(2200, 2200), used()]
  const nested = Buffer.from(`{"image": ${await nestedList(people, 1280)}}`)
  const { body: { bbox: expected } } = await post(server.url, { type: 'application/json', body: nested })
  t.equal(expected?.length, 4)
  const base64 = Buffer.from(JSON.stringify({ image: bitmap(1900, 1900).toString('base64') }))
  const uploads: Upload[] = [
    { type: 'application/json', body: nested, hasPeople: true },
    { type: 'application/json', body: nested, hasPeople: true, slowMs: 3000 },
    { type: 'image/bmp', body: file },
    { type: 'image/bmp', body: file, chunked: true },
    { type: 'application/json', body: base64, chunked: true },
    { type: 'application/json', body: greyList(2600, 2600) },
  ]
  const check = ({ status, retryAfter, body }: Reply, { hasPeople }: Upload): boolean => {
    if (status === 503) return body.error?.code === 'QUEUE_FULL' && Number(retryAfter) >= 1
    return status === 200 && JSON.stringify(body.bbox) === JSON.stringify(hasPeople ? expected : [])
  }
  const burst = Array.from({ length: 8 }, () => uploads).flat()
  const replies = await Promise.all(burst.map((upload) => post(server.url, upload)))
  const wrong = replies.filter((reply, index) => !check(reply, burst[index] as Upload))
  t.strictSame(wrong, [], 'answered right, or told to come again')
  const answered = replies.filter(({ status }) => status === 200).length
  t.ok(answered > 0 && answered < burst.length, `${answered} of ${burst.length} were answered`)
  for (const upload of uploads) {
    const reply = await post(server.url, { ...upload, slowMs: 0 })
    t.ok(reply.status === 200 && check(reply, upload), `alone: ${reply.status} ${upload.type}`)
  }
  const tooLarge = await post(server.url, { type: 'image/bmp', body: bitmap(2600, 2600) })
  t.match([tooLarge.status, tooLarge.body.error], [413, { message: /at most 16777216 bytes/ }])

  t.ok(await until(() => used() < atStart + 64 * MEBIBYTE, 30_000),
    `${Math.round(used() / MEBIBYTE)} MiB in use, ${Math.round(atStart / MEBIBYTE)} before the first request`)
  t.match(group.read('memory.oom_control'), /oom_kill 0/, 'the kernel ended nothing')
  t.comment(`at most ${Math.round(Number(group.read('memory.max_usage_in_bytes')) / MEBIBYTE)} MiB`)
  t.equal((await server.stop()).code, 0)
})
