import { taskName } from '../format'
import type { Node } from '../state'

interface Total {
  nodes: number
  workers: number
  waiting: number
}

/** Each task over the whole cluster. */
export function Services({ nodes }: { nodes: readonly Node[] }) {
  const totals = new Map<string, Total>()
  for (const { lost, service_state: services } of nodes) {
    for (const [task, { workers }] of lost ? [] : Object.entries(services)) {
      const total = totals.get(task) ?? { nodes: 0, workers: 0, waiting: 0 }
      totals.set(task, {
        nodes: total.nodes + 1,
        workers: total.workers + workers.length,
        waiting: total.waiting + workers.reduce((sum, { task_to_do: waiting }) => sum + waiting, 0),
      })
    }
  }
  return (
    <ul class="services">
      {[...totals].map(([task, total]) => (
        <li key={task}>
          <strong>{taskName(task)}</strong>
          <span>{count(total.workers, 'worker')}{nodes.length > 1 && ` on ${count(total.nodes, 'node')}`}</span>
          <span class="note">{total.waiting === 0 ? 'idle' : `${total.waiting} in the queue`}</span>
        </li>
      ))}
    </ul>
  )
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`
}
