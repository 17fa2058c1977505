/** How long JavaScript had to wait while work went on. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

export interface EventLoopGaps {
  /** Milliseconds between two turns of the event loop, of which the timer's own interval is about 1. */
  longest: number
  p99: number
}

const RESOLUTION_MILLISECONDS = 1
const SETTLING_MILLISECONDS = 20

export async function measureEventLoopGaps(work: () => Promise<unknown>): Promise<EventLoopGaps> {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS })
  histogram.enable()
  await sleep(SETTLING_MILLISECONDS)
  histogram.reset()
  await work()
  histogram.disable()
  return { longest: histogram.max / 1e6, p99: histogram.percentile(99) / 1e6 }
}
