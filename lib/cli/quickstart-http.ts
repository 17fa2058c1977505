/** The second half of the quick start: the same pictures through the HTTP interface, by worker processes. */
import { EdgeInferClient } from '../client/index.js'
import { createHttpServer } from '../http/index.js'
import { createSampler } from '../host/index.js'
import { startWorkers } from '../workers/index.js'
import { createLog } from './log.js'
import { renderTable } from './table.js'
import { packageVersion } from './program.js'

const HOST = '127.0.0.1'

/** Serves on a free port, runs face_detection → face_alignment and car_detection through it, and stops. */
export async function runOverHttp(faces: string, car: string): Promise<string> {
  const log = createLog('silent')
  const one = { workers: 1 }
  const workers = await startWorkers({
    tasks: { face_detection: one, face_alignment: one, car_detection: one }, download: false, log,
  })
  using sampler = createSampler()
  const server = await createHttpServer({ workers, sampler, log, version: packageVersion(), deviceIp: HOST })
  try {
    const url = `http://${HOST}:${await server.listen(HOST, 0)}`
    await using client = new EdgeInferClient(url)
    const found = await client.executeTask('face_detection', { image: { path: faces } })
    // The whole answer is the next task's input: it is how a scheduler runs the pipeline.
    const aligned = await client.executeTask('face_alignment', found)
    const cars = await client.executeTask('car_detection', { image: { path: car } })
    const row = (task: string, answer: typeof found | typeof aligned | typeof cars, result: string): string[] => {
      const { pid, compute_latency: computed, all_latency: all } = answer.proc_resource_info
      return [task, result, String(pid), milliseconds(computed), milliseconds(all)]
    }
    const rows = [
      row('face_detection', found, `${found.bbox.length} faces`),
      row('face_alignment', aligned, `${aligned.count_result.up} of ${aligned.count_result.total} look up`),
      row('car_detection', cars, counted(cars.count_result)),
    ]
    return `Over HTTP, at ${url}:\n${renderTable(['TASK', 'RESULT', 'WORKER', 'COMPUTED', 'ROUND TRIP'], rows)}`
  } finally {
    await server.drain()
    await workers.close()
  }
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(1)} ms`
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([label, count]) => `${label} × ${count}`).join(', ')
}
