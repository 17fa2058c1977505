/** A job, done in this process with a loaded task. */
import type { NativeImage, StageTimings } from '../../lib/native.js'
import { annotate } from '../../lib/tasks/annotate.js'
import type { BoundingBox, Detector } from '../../lib/tasks/detector.js'
import type { HeadPose, HeadPoseEstimator } from '../../lib/tasks/head-pose.js'
import type { Job, JobItem, JobResult } from '../../lib/tasks/job.js'
import { addTimings, NO_TIME } from '../../lib/tasks/stage-timings.js'

export type LoadedTask = Detector | HeadPoseEstimator

type Outcome = Pick<JobResult, 'items' | 'labels' | 'timings'>

/** @throws EdgeInferError BAD_IMAGE, BAD_REQUEST, TOO_LARGE, ABORTED, CLOSED, INFERENCE. */
export async function runJob(task: LoadedTask, job: Job, signal: AbortSignal): Promise<Outcome> {
  return task.task === 'face_alignment'
    ? runHeadPose(task as HeadPoseEstimator, job, signal)
    : runDetection(task as Detector, job, signal)
}

async function runDetection(task: Detector, job: Job, signal: AbortSignal): Promise<Outcome> {
  const items: JobItem[] = []
  let timings: StageTimings = NO_TIME
  for (const image of job.images) {
    const found = await task.run(image, { signal, crops: job.crops ?? false })
    timings = addTimings(timings, found.timings)
    const { objects } = found
    items.push({
      width: found.width,
      height: found.height,
      boxes: objects.map(({ box }) => box),
      scores: objects.map(({ score }) => score),
      classIds: objects.map(({ classId }) => classId),
      angles: [],
      crops: objects.flatMap(({ crop }) => crop ?? []),
      rendered: job.render ? await annotate(image, found) : undefined,
    })
  }
  return { items, labels: task.model.entry.labels, timings }
}

async function runHeadPose(task: HeadPoseEstimator, job: Job, signal: AbortSignal): Promise<Outcome> {
  const [first] = job.images
  const found = job.boxes && first
    ? await task.run(first, job.boxes, { signal })
    : await task.runFaces(job.images, { signal })
  const { poses, sizes, timings } = found
  const rendered = job.render && job.boxes && first ? await draw(first, job.boxes, poses) : undefined
  const items = sizes.map((size, index): JobItem => ({
    ...size,
    boxes: [],
    scores: [],
    classIds: [],
    angles: (job.boxes ? poses : poses.slice(index, index + 1)).map(({ yaw, pitch, roll }) => [yaw, pitch, roll]),
    crops: [],
    rendered,
  }))
  return { items, labels: [], timings }
}

function draw(image: NativeImage, boxes: readonly BoundingBox[], poses: readonly HeadPose[]): Promise<Buffer> {
  return annotate(image, { objects: boxes.map((box) => ({ box })) }, { poses })
}
