/** What was found, for people and for programs. */
import { definitionOf, type TaskName } from '../tasks/registry.js'
import type { StageTimings } from '../native.js'
import { countUp, isUp } from '../tasks/head-pose.js'
import type { DetectedObject, HeadPose } from '../tasks/index.js'
import { countEach, describeCounts, rounded } from '../tasks/present.js'
import type { Analysis } from './analyzer.js'
import { indent, renderTable } from './table.js'

/** One picture or frame as the HTTP interface names things, with its file, size and stage times (milliseconds). */
export function toJson(task: TaskName, file: string, analysis: Analysis): Record<string, unknown> {
  const { width, height, objects, poses = [], timings } = analysis
  const stages = Object.fromEntries(Object.entries(timings).map(([stage, time]) => [stage, rounded(time)]))
  return { file, width, height, ...definitionOf(task).present.toJson(objects, poses), timings: stages }
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
function summarize(objects: readonly DetectedObject[], poses?: readonly HeadPose[]): string {
  if (objects.length === 0) return 'nothing found'
  const counts = describeCounts(countEach(objects.map(({ label }) => label)))
  return poses ? `${counts} (up: ${countUp(poses)})` : counts
}

export function stageLine(timings: StageTimings): string {
  const stages = Object.entries(timings).filter(([stage, time]) => time > 0 || stage !== 'encode')
  const total = stages.reduce((sum, [, time]) => sum + time, 0)
  return `${stages.map(([stage, time]) => `${stage} ${time.toFixed(1)}`).join(' + ')} = ${total.toFixed(1)} ms`
}
