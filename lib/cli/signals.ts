/** SIGINT (Ctrl-C) and SIGTERM. */
import { stopWhenReaderGone } from './output.js'

export interface StopSignals {
  /** Resolves to the name of the first SIGINT or SIGTERM. */
  first: Promise<NodeJS.Signals>
  /** Resolves at the second. */
  second: Promise<NodeJS.Signals>
}

/** Tools that signal a process and then its group send one request twice. */
const SAME_REQUEST_MS = 250

export function stopSignals(): StopSignals {
  const resolvers: ((name: NodeJS.Signals) => void)[] = []
  const next = (): Promise<NodeJS.Signals> => new Promise((resolve) => resolvers.push(resolve))
  const signals = { first: next(), second: next() }
  let last = -Infinity
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const now = performance.now()
      if (now - last > SAME_REQUEST_MS) resolvers.shift()?.(name)
      last = now
    })
  }
  return signals
}

/**
 * A signal that the first Ctrl-C or SIGTERM aborts, or the end of who reads the results; the second signal ends the
 * process as usual.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, abort)
  stopWhenReaderGone(abort)
  return controller.signal
}
