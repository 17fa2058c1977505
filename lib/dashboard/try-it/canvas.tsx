import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { draw } from './draw'
import type { Mark } from '../../tasks/definition.js'

export interface ResultCanvasProps {
  bitmap: ImageBitmap
  marks: readonly Mark[]
  label: string
}

export function ResultCanvas({ bitmap, marks, label }: ResultCanvasProps) {
  const element = useRef<HTMLCanvasElement>(null)
  const [room, setRoom] = useState(0)
  useLayoutEffect(() => {
    const canvas = element.current
    if (!canvas) return undefined
    const observer = new ResizeObserver(() => setRoom(canvas.clientWidth))
    observer.observe(canvas)
    return () => observer.disconnect()
  }, [])
  useLayoutEffect(() => {
    const canvas = element.current
    if (!canvas) return
    // No more pixels than the picture has, but enough to write on a small one.
    const shown = Math.max(1, room || canvas.clientWidth)
    canvas.width = Math.min(Math.max(bitmap.width, shown), Math.ceil(shown * devicePixelRatio))
    canvas.height = Math.round(canvas.width * bitmap.height / bitmap.width)
    draw(canvas, bitmap, marks, canvas.width / shown)
  }, [bitmap, marks, room])
  return <canvas ref={element} role="img" aria-label={label} style={{ '--aspect': bitmap.width / bitmap.height }} />
}
