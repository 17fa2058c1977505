/** Runs tasks over a picture and reads their answers into marks to draw. */
import { executeTask, type Answer, type TaskReply } from '../api'
import type { Task } from '../state'

export interface Mark {
  /** x1, y1, x2, y2; pixels of the picture. */
  box: [number, number, number, number]
  label: string
  score?: number
  /** yaw, pitch, roll; degrees. */
  pose?: [number, number, number]
}

/** One call and where its time went, milliseconds. */
export interface Timing {
  task: Task
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
  tasks: readonly Task[]
}

export const PURPOSES: readonly Purpose[] = [
  { id: 'faces', name: 'Faces and where they look', tasks: ['face_detection', 'face_alignment'] },
  { id: 'face_detection', name: 'Faces', tasks: ['face_detection'] },
  { id: 'car_detection', name: 'Vehicles and other objects', tasks: ['car_detection'] },
  { id: 'helmet_detection', name: 'Hard hats', tasks: ['helmet_detection'] },
]

const READERS: Readonly<Record<Task, (answer: Answer, before: Mark[]) => Mark[]>> = {
  face_detection: ({ bbox, prob }) => (bbox as Mark['box'][]).map((box, index) =>
    mark(box, 'face', (prob as number[])[index])),
  face_alignment: ({ head_pose: poses }, faces) => faces.map((face, index) =>
    ({ ...face, pose: (poses as number[][])[index]?.slice(0, 3) as NonNullable<Mark['pose']> })),
  car_detection: ({ result, label }) => (result as number[][]).map((row, index) =>
    mark(row.slice(0, 4) as Mark['box'], (label as string[] | undefined)?.[index] ?? `class ${row[5]}`, row[4])),
  helmet_detection: ({ bbox_list: boxes, label, prob }) => (boxes as Mark['box'][]).map((box, index) =>
    mark(box, (label as string[])[index] === 'head' ? 'no helmet' : 'helmet', (prob as number[])[index])),
}

function mark(box: Mark['box'], label: string, score: number | undefined): Mark {
  return { box, label, ...(score !== undefined && { score }) }
}

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
    marks = READERS[task](reply.answer, marks)
    timings.push(timingOf(task, reply))
    body = JSON.stringify(reply.answer)
  }
  return { marks, timings }
}

function timingOf(task: Task, { answer, stages, roundTrip }: TaskReply): Timing {
  const { pid, all_latency: seconds } = answer.proc_resource_info as { pid: number; all_latency: number }
  return { task, pid, stages, server: seconds * 1000, roundTrip }
}
