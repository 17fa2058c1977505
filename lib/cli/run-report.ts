/** What was found, for people and for programs. */
import type { TaskName } from '../tasks/registry.js'
import type { StageTimings } from '../native.js'
import { UP_PITCH, type DetectedObject, type HeadPose } from '../tasks/index.js'
import type { Analysis } from './analyzer.js'
import { indent, renderTable } from './table.js'

/** One picture or frame as the HTTP interface names things, with its file, size and stage times (milliseconds). */
export function toJson(task: TaskName, file: string, analysis: Analysis): Record<string, unknown> {
  const { width, height, timings } = analysis
  const stages = Object.fromEntries(Object.entries(timings).map(([stage, time]) => [stage, rounded(time)]))
  return { file, width, height, ...resultOf(task, analysis), timings: stages }
}

function resultOf(task: TaskName, { objects, poses = [] }: Analysis): Record<string, unknown> {
  const boxes = objects.map(({ box }) => box.map(rounded))
  const prob = objects.map(({ score }) => rounded(score))
  const label = objects.map((object) => object.label)
  switch (task) {
    case 'face_detection': return { bbox: boxes, prob, label }
    case 'face_alignment': return {
      bbox: boxes,
      prob,
      head_pose: poses.map((pose, index) => headPoseRow(pose, objects[index] as DetectedObject)),
      count_result: { up: countUp(poses), total: poses.length },
    }
    case 'car_detection': return {
      result: objects.map(({ classId }, index) => [...boxes[index] as number[], prob[index], classId]),
      label,
      count_result: Object.fromEntries(countLabels(objects)),
    }
    case 'helmet_detection': return { bbox_list: boxes, prob, label }
  }
}

function headPoseRow({ yaw, pitch, roll }: HeadPose, { box: [x1, y1, x2, y2] }: DetectedObject): number[] {
  return [yaw, pitch, roll, (x1 + x2) / 2, (y1 + y2) / 2, (y2 - y1) / 2].map(rounded)
}

/** A heading, a table of the objects and the stage times. */
export function toText(file: string, analysis: Analysis): string {
  const { width, height, objects, poses, timings } = analysis
  const heading = `${file}: ${summarize(objects, poses)} in ${width} × ${height} pixels`
  const lines = objects.length === 0 ? [] : [indent(table(objects, poses))]
  return [heading, ...lines, indent(stageLine(timings))].join('\n')
}

const BOX = ['X1', 'Y1', 'X2', 'Y2']
const POSE = ['YAW', 'PITCH', 'ROLL']

function table(objects: readonly DetectedObject[], poses: readonly HeadPose[] | undefined): string {
  const head = ['LABEL', 'CONF', ...BOX, ...poses ? [...POSE, 'UP'] : []]
  const rows = objects.map(({ label, score, box }, index) => {
    const pose = poses?.[index]
    const row = [label, score.toFixed(2), ...box.map((side) => side.toFixed(0))]
    if (!pose) return row
    return [...row, ...[pose.yaw, pose.pitch, pose.roll].map((angle) => angle.toFixed(1)), isUp(pose) ? 'up' : '']
  })
  return renderTable(head, rows, ['CONF', ...BOX, ...POSE])
}

/** `car × 4, truck × 2`; for faces with head poses `face × 5 (up: 3)`. */
export function summarize(objects: readonly DetectedObject[], poses?: readonly HeadPose[]): string {
  if (objects.length === 0) return 'nothing found'
  const counts = [...countLabels(objects)].map(([label, count]) => `${label} × ${count}`).join(', ')
  return poses ? `${counts} (up: ${countUp(poses)})` : counts
}

export function stageLine(timings: StageTimings): string {
  const stages = Object.entries(timings).filter(([stage, time]) => time > 0 || stage !== 'encode')
  const total = stages.reduce((sum, [, time]) => sum + time, 0)
  return `${stages.map(([stage, time]) => `${stage} ${time.toFixed(1)}`).join(' + ')} = ${total.toFixed(1)} ms`
}

function countLabels(objects: readonly DetectedObject[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { label } of objects) counts.set(label, (counts.get(label) ?? 0) + 1)
  return counts
}

export function countUp(poses: readonly HeadPose[]): number {
  return poses.filter(isUp).length
}

function isUp({ pitch }: HeadPose): boolean {
  return pitch > UP_PITCH
}

function rounded(value: number): number {
  return Number(value.toFixed(4))
}
