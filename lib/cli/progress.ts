/** A progress bar on a terminal; nothing where the output is read by a program or a log. */
import { SingleBar } from 'cli-progress'
import { formatBytes } from './table.js'

export interface ProgressBar {
  /** `total` may be undefined where it is not known. */
  update(label: string, done: number, total: number | undefined): void
  stop(): void
}

type Unit = 'bytes' | 'frames'

/** The bar is drawn on standard error, so that results can be piped. */
export function createProgressBar(unit: Unit): ProgressBar {
  if (!process.stderr.isTTY) return { update() {}, stop() {} }
  const bar = new SingleBar({
    stream: process.stderr,
    format: (_options, { progress }, { label, done, total }: Payload) => {
      const width = 24
      const filled = Math.round(width * Math.min(1, progress))
      return `${label} [${'='.repeat(filled)}${' '.repeat(width - filled)}] ${show(done, total, unit)}`
    },
    hideCursor: true,
    clearOnComplete: true,
  })
  let current: string | undefined
  return {
    update(label, done, total) {
      const payload: Payload = { label, done, total }
      if (label !== current) {
        if (current !== undefined) bar.stop()
        bar.start(total ?? 1, 0, payload)
        current = label
      }
      bar.update(total === undefined ? 0 : Math.min(done, total), payload)
    },
    stop() {
      if (current !== undefined) bar.stop()
      current = undefined
    },
  }
}

interface Payload {
  label: string
  done: number
  total: number | undefined
}

function show(done: number, total: number | undefined, unit: Unit): string {
  if (unit === 'frames') return total === undefined ? `${done} frames` : `${done} of ${total} frames`
  return total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`
}
