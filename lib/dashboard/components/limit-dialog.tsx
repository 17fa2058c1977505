import { useState } from 'preact/hooks'
import { failureOf, useActions, type Notice } from '../actions'
import type { Control, Limits } from '../api'
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
  cpu: number
  memory: number
}

export function LimitDialog({ target, onClose }: { target: LimitTarget; onClose: () => void }) {
  const { node, task, pid } = target
  const { run, tell } = useActions()
  const [cpu, setCpu] = useState(toPercent(target.cpu))
  const [memory, setMemory] = useState(toPercent(target.memory))
  const [busy, setBusy] = useState(false)
  const [failure, setFailure] = useState<Notice>()
  const what = pid === undefined ? `all workers of ${task}` : `worker ${pid} (${task})`

  async function apply(): Promise<void> {
    if (busy) return
    setBusy(true)
    setFailure(undefined)
    const limits: Limits = {
      ...(cpu !== toPercent(target.cpu) && { cpu_util_limit: Number(cpu) / 100 }),
      ...(memory !== toPercent(target.memory) && { mem_limit: Number(memory) / 100 }),
    }
    const call: Control = pid === undefined
      ? { route: 'limit_task_resource', body: { task_name: task, ...limits } }
      : { route: 'limit_process_resource', body: { task_name: task, pid, ...limits } }
    try {
      const held = await run(node, call)
      const memoryHeld = share(Number(held.mem_util_limit))
      tell({ kind: 'done', text: `Limits of ${what}: CPU ${share(Number(held.cpu_util_limit))}, memory ${memoryHeld}` })
      onClose()
    } catch (error) {
      setFailure(failureOf(error))
      setBusy(false)
    }
  }

  return (
    <Dialog title={`Limits of ${what}`} onCancel={onClose} onSubmit={() => void apply()}>
      <LimitField label="CPU, % of all cores" value={cpu} onInput={setCpu} />
      <LimitField label="Memory, % of the machine's" value={memory} onInput={setMemory} />
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
