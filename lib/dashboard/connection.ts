/** The node's events: connected for as long as the page is open. */
import type { State } from './state'

/** Milliseconds without an event after which the connection counts as lost: they come once a second. */
const SILENCE_MS = 6000
const RETRY_MS = 2000

/** Calls `onState` with every state and `onLost` whenever they stop coming; what it returns ends it. */
export function followState(onState: (state: State) => void, onLost: () => void): () => void {
  let source: EventSource | undefined
  let timer = 0

  function connect(): void {
    source?.close()
    source = new EventSource('events')
    source.addEventListener('state', ({ data }: MessageEvent<string>) => {
      wait(SILENCE_MS)
      onState(JSON.parse(data) as State)
    })
    source.addEventListener('error', () => {
      onLost()
      source?.close()
      wait(RETRY_MS)
    })
    wait(SILENCE_MS)
  }

  function wait(milliseconds: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => {
      onLost()
      connect()
    }, milliseconds)
  }

  connect()
  return () => {
    clearTimeout(timer)
    source?.close()
  }
}
