/** What is known of one GPU; a figure it does not give is `undefined`. */
export interface GpuFigures {
  /** Part of its memory in use, [0, 1]. */
  memory: number | undefined
  memoryTotalBytes: number | undefined
  /** Percent of the time it computed. */
  utilization: number | undefined
}
