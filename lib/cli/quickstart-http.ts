/** The second half of the quick start: the same pictures through the HTTP interface, by worker processes. */
import { EdgeInferClient, type TaskInputs } from '../client/index.js'
import { createHttpServer } from '../http/index.js'
import { createSampler } from '../host/index.js'
import { definitionOf, pipelineOf, type TaskName } from '../tasks/registry.js'
import { startWorkers } from '../workers/index.js'
import { createLog } from './log.js'
import { renderTable } from './table.js'
import { packageVersion } from './program.js'

const HOST = '127.0.0.1'

/** Serves on a free port, runs each task on its picture through it, and those that come before it; and stops. */
export async function runOverHttp(pictures: readonly { task: TaskName; path: string }[]): Promise<string> {
  const log = createLog('silent')
  const served = pictures.flatMap(({ task }) => pipelineOf(task))
  const workers = await startWorkers({
    tasks: Object.fromEntries(served.map((task) => [task, { workers: 1 }])), download: false, log,
  })
  using sampler = createSampler()
  const server = await createHttpServer({ workers, sampler, log, version: packageVersion(), deviceIp: HOST })
  try {
    const url = `http://${HOST}:${await server.listen(HOST, 0)}`
    await using client = new EdgeInferClient(url)
    const rows: string[][] = []
    for (const { task: last, path } of pictures) {
      let input: object = { image: { path } }
      for (const task of pipelineOf(last)) {
        // The whole answer is the next task's input: it is how a scheduler runs the pipeline.
        const answer = await client.executeTask(task, input as TaskInputs[TaskName])
        const { pid, compute_latency: computed, all_latency: all } = answer.proc_resource_info
        const result = definitionOf(task).present.summarize({ ...answer })
        rows.push([task, result, String(pid), milliseconds(computed), milliseconds(all)])
        input = answer
      }
    }
    return `Over HTTP, at ${url}:\n${renderTable(['TASK', 'RESULT', 'WORKER', 'COMPUTED', 'ROUND TRIP'], rows)}`
  } finally {
    await server.drain()
    await workers.close()
  }
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(1)} ms`
}
