/** One piece of work for one worker: pictures in, what was found in each out. */
import type { NativeImage, StageTimings } from '../native.js'
import type { BoundingBox } from './bounding-box.js'

export interface Job {
  /**
   * Run one after the other. Head-pose tasks: faces, used whole, unless `boxes` says where they are in the one image.
   */
  images: readonly NativeImage[]
  boxes?: readonly BoundingBox[] | undefined
  /** Detection tasks: answer a JPEG crop of each object. */
  crops?: boolean | undefined
  /** Answer each picture with its results drawn on it, as a JPEG. */
  render?: boolean | undefined
}

/** What was found in one picture (for head poses: in one face image, or at all the boxes of the image). */
export interface JobItem {
  /** Size of the picture, pixels. */
  width: number
  height: number
  /** Detection tasks, best first. */
  boxes: BoundingBox[]
  scores: number[]
  classIds: number[]
  /** yaw, pitch, roll in degrees; head-pose tasks only. */
  angles: [number, number, number][]
  /** JPEG files, one a box, when asked for. */
  crops: Buffer[]
  /** A JPEG file, when asked for. */
  rendered: Buffer | undefined
}

/** What the job cost the worker. */
export interface JobUsage {
  /** Seconds from when the worker began the job until it was done. */
  wallSeconds: number
  /** CPU time of the worker process meanwhile, seconds. */
  cpuSeconds: number
  /** Resident memory afterwards. */
  rssBytes: number
}

export interface JobResult {
  items: JobItem[]
  /** Class names by id, of the model that ran. */
  labels: readonly string[]
  /** Milliseconds of each stage, summed over the pictures. */
  timings: StageTimings
  usage: JobUsage
}
