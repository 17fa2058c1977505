/** More connections than the descriptors allow: those there are answered, workers can be added, all recovers. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { serveInProcess } from '../cli/serve-process.js'
import { until } from '../helpers/processes.js'
import { post } from './server.js'

const CONNECTIONS = 500

t.test('out of descriptors', async (t) => {
  const server = await serveInProcess(t, ['--task', 'face_detection=1'], { prefix: ['prlimit', '--nofile=400:400'] })
  const { hostname, port } = new URL(server.url)
  const sockets: Socket[] = []
  let refused = 0
  const kept = connect(Number(port), hostname)
  await once(kept, 'connect')
  for (let index = 0; index < CONNECTIONS; index++) {
    const socket = connect(Number(port), hostname)
    sockets.push(socket.on('error', () => {}).on('close', () => { refused++ }))
  }
  t.ok(await until(() => refused > 100), `${refused} of ${CONNECTIONS} connections were refused`)
  const body = '{"task_name": "face_detection"}'
  kept.write('POST /add_work_process HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
    `Content-Length: ${body.length}\r\n\r\n${body}`)
  const [answer] = await once(kept, 'data') as [Buffer]
  t.match(`${answer}`, /200 OK[^]*"create_flag":true/, 'descriptors are left for a worker')
  for (const socket of [kept, ...sockets]) socket.destroy()
  t.ok(await until(async () => {
    try {
      return (await post(`${server.url}/decrease_work_process`, { task_name: 'face_detection' })).status === 200
    } catch {
      return false
    }
  }), 'and all is well again')
  const { code, stdout } = await server.stop()
  t.equal(code, 0)
  t.match(stdout, /connections are refused: as many as this process may have are open/)
})
