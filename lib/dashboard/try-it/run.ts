/** Runs tasks over a picture and reads their answers into marks to draw. */
import type { Mark } from '../../tasks/definition.js'
import { definitionOf, pipelineOf, TASKS, type TaskName } from '../../tasks/registry.js'
import { executeTask, type TaskReply } from '../api'

/** One call and where its time went, milliseconds. */
export interface Timing {
  task: TaskName
  pid: number
  stages: TaskReply['stages']
  /** In the server, waiting included. */
  server: number
  roundTrip: number
}

export interface Outcome {
  marks: Mark[]
  timings: Timing[]
}

export interface Purpose {
  id: string
  name: string
  /** One after the other; each is sent the answer of the one before. */
  tasks: readonly TaskName[]
}

/** Those of several tasks first. */
export const PURPOSES: readonly Purpose[] = TASKS
  .map(({ name, purpose }) => ({ id: name, name: purpose, tasks: pipelineOf(name) }))
  .sort((a, b) => b.tasks.length - a.tasks.length)

/** @throws ApiError */
export async function runPurpose(
  base: string, { tasks }: Purpose, picture: Blob, signal: AbortSignal,
): Promise<Outcome> {
  let body: Blob | string = picture
  let marks: Mark[] = []
  const timings: Timing[] = []
  for (const task of tasks) {
    if (timings.length > 0 && marks.length === 0) break
    const reply = await executeTask(base, task, body, signal)
    marks = definitionOf(task).present.toMarks(reply.answer, marks)
    timings.push(timingOf(task, reply))
    body = JSON.stringify(reply.answer)
  }
  return { marks, timings }
}

function timingOf(task: TaskName, { answer, stages, roundTrip }: TaskReply): Timing {
  const { pid, all_latency: seconds } = answer.proc_resource_info as { pid: number; all_latency: number }
  return { task, pid, stages, server: seconds * 1000, roundTrip }
}
