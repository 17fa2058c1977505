import { useEffect, useState } from 'preact/hooks'
import { followState } from './connection'
import { remember, type Histories, type State } from './state'

export interface LiveState {
  /** The last that came. */
  state: State | undefined
  histories: Histories
  /** Whether more are coming. */
  live: boolean
}

export function useLiveState(): LiveState {
  const [current, setCurrent] = useState<LiveState>({ state: undefined, histories: new Map(), live: false })
  useEffect(() => followState(
    (state) => setCurrent(({ histories }) => ({ state, histories: remember(histories, state.nodes), live: true })),
    () => setCurrent((before) => ({ ...before, live: false })),
  ), [])
  return current
}
