/** Ten thousand requests of every kind from eight connections, each answer compared with the library's; workers die. */
import { Agent, request } from 'node:http'
import t from 'tap'
import { face, people, street } from '../helpers/pictures.js'
import { sample, startServer } from './server.js'
import { makeShots, type Shot } from './shots.js'

const REQUESTS = Number(process.env.TEST_REQUESTS ?? 10_000)
const CONNECTIONS = 8
/** Requests from one kill of a worker to the next. */
const KILL_EVERY = Math.ceil(REQUESTS / 20)

interface Sent {
  status: number
  body: Record<string, unknown>
}

function post(agent: Agent, port: number, { path, type, body }: Shot): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': type, 'content-length': body.length }
    const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => resolve({
        status: answer.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
      }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

t.test('every answer is the library\'s, also while workers are killed', { timeout: 900_000 }, async (t) => {
  const pictures = [people, street, face, await sample('faces')]
  const shots = await makeShots(pictures)
  const deck = shots.flatMap((shot) => Array.from({ length: shot.weight }, () => shot))
  const { port, workers } = await startServer(t, {
    tasks: { face_detection: { workers: 2 }, face_alignment: { workers: 1 }, car_detection: { workers: 1 } },
  })

  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  t.teardown(() => agent.destroy())
  const wrong: string[] = []
  let next = 0
  let killed = 0
  const kill = (): void => {
    const all = workers.workers()
    const victim = all[killed % all.length]
    if (!victim) return
    try {
      process.kill(victim.pid, 'SIGKILL')
      killed += 1
    } catch (error) {
      // It has ended already.
      t.match(error, { code: 'ESRCH' })
    }
  }
  const client = async (): Promise<void> => {
    while (next < REQUESTS) {
      // A stride without a common factor mixes the kinds, the same way in every run.
      const shot = deck[next++ * 7919 % deck.length] as Shot
      if (next % KILL_EVERY === 0) kill()
      const { status, body } = await post(agent, port, shot)
      const expectedStatus = shot.expected['execute_flag'] === false ? 400 : 200
      const same = Object.entries(shot.expected).every(
        ([key, value]) => JSON.stringify(body[key]) === JSON.stringify(value),
      )
      if (status !== expectedStatus || !same) wrong.push(
        `${shot.path} ${shot.type}: ${status} ${JSON.stringify(body).slice(0, 300)}`,
      )
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, client))
  t.same(wrong.slice(0, 5), [], `${wrong.length} of ${REQUESTS} answers are wrong`)
  t.ok(killed >= 5, `${killed} workers were killed meanwhile`)
})
