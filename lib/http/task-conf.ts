/** `task_conf`: the settings of the caller's task, as it sent them. */
export interface TaskConf {
  /** Frames a second; null where the caller did not say. */
  fps: unknown
  /** Pixels; null where neither the caller nor an image says. */
  resolution: unknown
}

const UNKNOWN_RESOLUTION = { w: null, h: null }

export function taskConf(
  fields: Readonly<Record<string, unknown>> = {}, resolution: { w: number; h: number } | undefined = undefined,
): TaskConf {
  const sent = isRecord(fields.task_conf) ? fields.task_conf : {}
  return {
    ...sent,
    fps: sent.fps ?? fields.fps ?? null,
    resolution: sent.resolution ?? fields.resolution ?? resolution ?? UNKNOWN_RESOLUTION,
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
