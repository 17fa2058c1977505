import type { FoundObject, FoundPose, Mark } from '../definition.js'
import { countUp, toWireHeadPose } from '../head-pose.js'
import { rounded, toLists } from '../present.js'
import type { HeadPoses } from './schema.js'

export function toJson(objects: readonly FoundObject[], poses: readonly FoundPose[]): Record<string, unknown> {
  const { boxes: bbox, prob } = toLists(objects)
  return {
    bbox,
    prob,
    head_pose: poses.map(({ yaw, pitch, roll }, index) =>
      toWireHeadPose([yaw, pitch, roll], (objects[index] as FoundObject).box).map(rounded)),
    count_result: { up: countUp(poses), total: poses.length },
  }
}

export function toMarks({ head_pose: poses }: HeadPoses, faces: readonly Mark[]): Mark[] {
  return faces.map((face, index) => {
    const [yaw, pitch, roll] = poses[index] ?? []
    return yaw === undefined || pitch === undefined || roll === undefined ? face : { ...face, pose: [yaw, pitch, roll] }
  })
}

export function summarize({ count_result: { up, total } }: HeadPoses): string {
  return `${up} of ${total} look up`
}
