import type { ComponentChildren } from 'preact'
import { useId, useLayoutEffect, useRef } from 'preact/hooks'

export interface DialogProps {
  title: string
  onCancel: () => void
  onSubmit: () => void
  children: ComponentChildren
}

/** Open for as long as it is there; the focus goes back to where it was. */
export function Dialog({ title, onCancel, onSubmit, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useLayoutEffect(() => {
    const dialog = element.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    <dialog ref={element} aria-labelledby={id} onCancel={(event) => {
      event.preventDefault()
      onCancel()
    }}>
      <form onSubmit={(event) => {
        event.preventDefault()
        onSubmit()
      }}>
        <h2 id={id}>{title}</h2>
        {children}
      </form>
    </dialog>
  )
}
