/** A node for callers of the documentation: a process of its own on a free port of loopback. */
import { once } from 'node:events'
import type { Test } from 'tap'
import { spawnCli } from '../cli/run.js'

/** @returns its URL; it serves every task whose model npm carries, one worker each. */
export async function startNode(t: Test): Promise<string> {
  const tasks = 'face_detection=1,face_alignment=1,car_detection=1'
  const child = spawnCli(
    ['serve', '--host', '127.0.0.1', '--port', '0', '--threads', '1', '--log-level', 'error', '--task', tasks],
  )
  child.stdout.resume()
  const ended = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
  })
  let said = ''
  return new Promise((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      const listening = /Listening on (http:\S+)/.exec(said)?.[1]
      if (listening !== undefined) resolve(listening)
    })
    void ended.then(() => reject(new Error(`serve ended: ${said}`)))
  })
}
