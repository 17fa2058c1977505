import { useState } from 'preact/hooks'
import { failureOf, useActions, type Notice } from '../actions'
import { REPORTED, type WireEffectiveLimits } from '../../workers/limits/registry.js'
import type { Control } from '../api'
import { share } from '../format'
import type { Node } from '../state'
import { Dialog } from './dialog'
import { Failure } from './failure'

export interface LimitTarget {
  node: Node
  task: string
  /** Absent: all workers of the task. */
  pid?: number
  /** As they are now, shares of the machine. */
  limits: WireEffectiveLimits
}

export function LimitDialog({ target, onClose }: { target: LimitTarget; onClose: () => void }) {
  const { node, task, pid } = target
  const { run, tell } = useActions()
  const [percents, setPercents] = useState<Readonly<Record<string, string>>>({})
  const [busy, setBusy] = useState(false)
  const [failure, setFailure] = useState<Notice>()
  const what = pid === undefined ? `all workers of ${task}` : `worker ${pid} (${task})`

  async function apply(): Promise<void> {
    if (busy) return
    setBusy(true)
    setFailure(undefined)
    const limits = Object.fromEntries(REPORTED.flatMap(({ key, name }) =>
      percents[key] === undefined || percents[key] === toPercent(target.limits[key]) ? [] : [[
        name, Number(percents[key]) / 100,
      ]]))
    const call: Control = pid === undefined
      ? { route: 'limit_task_resource', body: { task_name: task, ...limits } }
      : { route: 'limit_process_resource', body: { task_name: task, pid, ...limits } }
    try {
      const held = await run(node, call)
      const now = REPORTED.map(({ key, noun }) => `${noun} ${share(Number(held[key]))}`)
      tell({ kind: 'done', text: `Limits of ${what}: ${now.join(', ')}` })
      onClose()
    } catch (error) {
      setFailure(failureOf(error))
      setBusy(false)
    }
  }

  return (
    <Dialog title={`Limits of ${what}`} onCancel={onClose} onSubmit={() => void apply()}>
      {REPORTED.map(({ key, noun, whole }) => (
        <LimitField key={key} label={`${noun}, % of ${whole}`} value={percents[key] ?? toPercent(target.limits[key])}
          onInput={(value) => setPercents({ ...percents, [key]: value })} />
      ))}
      {failure && <Failure notice={failure} />}
      <div class="actions">
        <button type="button" onClick={onClose}>Cancel</button>
        <button type="submit" class="primary" aria-disabled={busy} aria-busy={busy}>Apply</button>
      </div>
    </Dialog>
  )
}

interface LimitFieldProps {
  label: string
  value: string
  onInput: (value: string) => void
}

/** What is allowed is the node's to say. */
function LimitField({ label, value, onInput }: LimitFieldProps) {
  return (
    <div class="limit">
      <label>
        {label}
        <input type="number" step="any" required value={value}
          onInput={(event) => onInput(event.currentTarget.value)} />
      </label>
      <input type="range" min="1" max="100" aria-label={`${label}, slider`} value={value}
        onInput={(event) => onInput(event.currentTarget.value)} />
    </div>
  )
}

function toPercent(value: number): string {
  return String(Math.round(value * 1000) / 10)
}
