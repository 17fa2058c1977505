/** Head poses as people and programs read them. Bundled into the dashboard: no Node module, no addon. */
import type { BoundingBox } from '../inference/bounding-box.js'
import type { FoundPose } from './definition.js'

/** A face whose pitch is above this many degrees is up. */
export const UP_PITCH = -10

export function isUp({ pitch }: Pick<FoundPose, 'pitch'>): boolean {
  return pitch > UP_PITCH
}

export function countUp(poses: readonly Pick<FoundPose, 'pitch'>[]): number {
  return poses.filter(isUp).length
}

/** Degrees; centre and half height of the face in pixels. */
export type WireHeadPose = [yaw: number, pitch: number, roll: number, cx: number, cy: number, halfHeight: number]

export function toWireHeadPose(
  [yaw, pitch, roll]: readonly [number, number, number], [x1, y1, x2, y2]: Readonly<BoundingBox>,
): WireHeadPose {
  return [yaw, pitch, roll, (x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2]
}
