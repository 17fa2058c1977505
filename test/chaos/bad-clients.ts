/** Callers that do not behave: what each is answered is known, too, and none may harm the others. */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { head, RawClient, type RawReply } from '../http/raw-client.js'
import { TEXT_FORMS } from '../http/server.js'
import { json } from '../http/shots.js'
import { pictures } from './known.js'
import { LOST, REFUSED, type Ledger } from './ledger.js'
import { pick } from './load.js'
import type { ChaosNode } from './node-process.js'
import { NoAnswer, withoutSilence } from './post.js'

const PATH = '/execute_task/face_detection'
const GOOD = json({ image: TEXT_FORMS.literal(pictures.face) })

/** What it does; gives the answer there must be one of, or nothing where it leaves without one. */
interface BadClient {
  name: string
  /** Statuses with their codes that are right. */
  right: readonly string[]
  run(client: RawClient, random: () => number): Promise<RawReply | undefined>
}

async function whole(client: RawClient, request: string, body: Buffer | string = ''): Promise<RawReply> {
  const [sending, reply] = [client.send(request, body), client.reply()]
  await sending
  return reply
}

/** Waits for an answer, or leaves before: after up to `milliseconds`. */
async function orLeave(client: RawClient, random: () => number, milliseconds: number): Promise<RawReply | undefined> {
  const reply = client.reply()
  reply.catch(() => {})
  return Promise.race([reply, sleep(random() * milliseconds, undefined)])
}

const posted = (name: string, body: Buffer | string, ...right: string[]): BadClient => ({
  name, right, run: (client) => whole(client, head(PATH, Buffer.byteLength(body)), body),
})

const BAD_CLIENTS: readonly BadClient[] = [
  {
    name: 'half a head', right: ['408 REQUEST_TIMEOUT'],
    run: async (client, random) => {
      await client.send(`POST ${PATH} HTTP/1.1\r\nHost: te`)
      return orLeave(client, random, 14_000)
    },
  },
  {
    name: 'dripping head', right: ['408 REQUEST_TIMEOUT'],
    run: async (client, random) => {
      const drip = setInterval(() => void client.send('x'), 200)
      await client.send('GET / HTTP/1.1\r\nX-Slow: ')
      return orLeave(client, random, 14_000).finally(() => clearInterval(drip))
    },
  },
  {
    name: 'dripping body', right: ['408 REQUEST_TIMEOUT'],
    run: async (client, random) => {
      await client.send(head(PATH, GOOD.length))
      const drip = setInterval(() => void client.send('x'), 200)
      return orLeave(client, random, 14_000).finally(() => clearInterval(drip))
    },
  },
  {
    name: 'stalled body', right: ['408 REQUEST_TIMEOUT'],
    run: async (client, random) => {
      await client.send(head(PATH, GOOD.length), GOOD.subarray(0, Math.floor(random() * GOOD.length)))
      return orLeave(client, random, 14_000)
    },
  },
  {
    name: 'gone in the middle', right: [],
    run: async (client, random) => {
      await client.send(head(PATH, GOOD.length), GOOD.subarray(0, Math.floor(random() * GOOD.length)))
      return undefined
    },
  },
  {
    name: 'gone before the answer', right: ['200'],
    run: async (client, random) => {
      await client.send(head(PATH, GOOD.length), GOOD, head(PATH, GOOD.length), GOOD)
      return orLeave(client, random, 60)
    },
  },
  {
    name: 'no HTTP', right: ['400 BAD_REQUEST'],
    run: (client) => whole(client, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  },
  { name: 'random bytes', right: ['400 BAD_REQUEST'], run: (client) => whole(client, '', randomBytes(3000)) },
  {
    name: 'claims 10 GB', right: ['413 TOO_LARGE'],
    run: (client) => whole(client, head(PATH, 10 ** 10)),
  },
  {
    name: 'sends 65 MiB', right: ['413 TOO_LARGE'],
    run: async (client) => {
      const block = Buffer.alloc(2 ** 20, 'x')
      const reply = client.reply()
      reply.catch(() => {})
      await client.send(head(PATH, undefined, 'Transfer-Encoding: chunked'))
      for (let sent = 0; sent < 66 && !client.closed; sent++) {
        await client.send(`${block.length.toString(16)}\r\n`, block, '\r\n')
      }
      return reply
    },
  },
  posted('no object', '[]', '400 BAD_REQUEST'),
  posted('no picture', '{}', '400 BAD_IMAGE'),
  posted('a number for a picture', '{"image": 7}', '400 BAD_IMAGE'),
  posted('ragged rows', '{"image": [[[1,2,3],[4,5,6]],[[7,8,9]]]}', '400 BAD_IMAGE'),
  posted('random text', json({ image: randomBytes(2000).toString('latin1') }), '400 BAD_IMAGE'),
  posted('half a JSON', GOOD.subarray(0, 500), '400 BAD_IMAGE', '400 BAD_REQUEST'),
  posted('wrong timeout', json({ image: TEXT_FORMS.base64(pictures.face), timeout_ms: 'soon' }), '400 BAD_REQUEST'),
  posted('too many pictures', json({ image_list: Array.from({ length: 65 }, () => 'b\'\'') }), '413 TOO_LARGE'),
  {
    name: 'unknown task', right: ['404 UNKNOWN_TASK'],
    run: (client) => whole(client, head('/execute_task/ducks', 2), '{}'),
  },
  { name: 'unknown route', right: ['404 NOT_FOUND'], run: (client) => whole(client, head('/ducks', 2), '{}') },
  {
    name: 'wrong method', right: ['405 METHOD_NOT_ALLOWED'],
    run: (client) => whole(client, `GET ${PATH} HTTP/1.1\r\nHost: test\r\n\r\n`),
  },
  {
    name: 'compressed body', right: ['415 UNSUPPORTED_MEDIA_TYPE'],
    run: (client) => whole(client, head(PATH, 20, 'Content-Encoding: br'), randomBytes(20)),
  },
  {
    name: 'wrong limit', right: ['400 BAD_LIMIT'],
    run: (client) => {
      const body = '{"task_name": "face_detection", "cpu_util_limit": 1.5}'
      return whole(client, head('/limit_task_resource', body.length), body)
    },
  },
]

/** One bad client after the other, until `isOver`. */
export async function runBadClients(
  nodes: readonly ChaosNode[], ledger: Ledger, random: () => number, isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const bad = pick(random, BAD_CLIENTS)
    const node = pick(random, nodes)
    const { ip: host, port } = node.spec
    const client = new RawClient(port, connect({ port, host, allowHalfOpen: true }))
    const since = performance.now()
    try {
      judge(bad, node, ledger, since, await withoutSilence(bad.run(client, random)))
    } catch (error) {
      const code = error instanceof NoAnswer ? error.code : LOST
      const what = `${node.name} after ${Math.round(performance.now() - since)} ms: ${(error as Error).message}`
      // How its connection ended is not told.
      const isExplained = ledger.explains(node.name, code, since) || ledger.explains(node.name, REFUSED, since)
      ledger.failed(`bad client: ${bad.name}`, code, isExplained, what)
    } finally {
      client.close()
    }
    await sleep(random() * 300)
  }
}

function judge(bad: BadClient, node: ChaosNode, ledger: Ledger, since: number, reply: RawReply | undefined): void {
  const kind = `bad client: ${bad.name}`
  if (!reply) return ledger.right(kind)
  const { code } = (reply.body['error'] ?? {}) as { code?: string }
  const answered = code === undefined ? String(reply.status) : `${reply.status} ${code}`
  if (bad.right.includes(answered)) return ledger.right(kind)
  const what = `${node.name}: ${answered}: ${JSON.stringify(reply.body).slice(0, 300)}`
  if (reply.status < 400) ledger.wrong(kind, what)
  else ledger.failed(kind, code ?? answered, code !== undefined && ledger.explains(node.name, code, since), what)
}
