/** A server that stops answers what has reached it. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { RawClient } from './raw-client.js'
import { startServer } from './server.js'

const REQUEST = 'GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n'
const IDLE_MS = 500

t.test('a request that lies at an idle connection when that is to be closed is answered', async (t) => {
  const { port, server } = await startServer(t, {
    tasks: { face_detection: { workers: 1 } }, settings: { drainIdle: IDLE_MS },
  })
  const caller = new RawClient(port)
  await caller.send(REQUEST)
  t.equal((await caller.reply()).status, 200)
  const drained = server.drain()
  await sleep(IDLE_MS / 2)
  // As on a busy machine: both the timer and the request are due when the event loop turns again, the timer first.
  await setImmediate()
  caller.socket.write(REQUEST)
  for (const end = performance.now() + IDLE_MS; performance.now() < end;);
  t.equal((await caller.reply()).status, 200)
  caller.close()
  await drained
})
