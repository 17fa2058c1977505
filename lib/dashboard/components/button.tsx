import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

export interface ActionButtonProps {
  /** Says what happens, for those who do not see where the button stands. */
  label: string
  onClick: () => Promise<void>
  children: ComponentChildren
  class?: string
}

/** Takes no second click until the first is done, and keeps the focus meanwhile. */
export function ActionButton({ label, onClick, children, class: name = '' }: ActionButtonProps) {
  const [busy, setBusy] = useState(false)
  async function click(): Promise<void> {
    if (busy) return
    setBusy(true)
    try {
      await onClick()
    } finally {
      setBusy(false)
    }
  }
  return (
    <button type="button" class={`small ${name}`} aria-label={label} title={label} aria-disabled={busy} aria-busy={busy}
      onClick={() => void click()}>
      {children}
    </button>
  )
}
