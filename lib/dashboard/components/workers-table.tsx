import { useState } from 'preact/hooks'
import { useActions } from '../actions'
import { milliseconds, percent, share, taskName } from '../format'
import { TASK_NAMES } from '../../tasks/registry.js'
import type { Node, Service, Worker } from '../state'
import { ActionButton } from './button'
import { LimitDialog, type LimitTarget } from './limit-dialog'

/** Workers by task, and what can be done to them. */
export function WorkersTable({ node }: { node: Node }) {
  const [target, setTarget] = useState<LimitTarget>()
  const services = Object.entries(node.service_state)
  const absent = TASK_NAMES.filter((task) => !(task in node.service_state))
  const limit = isControllable(node) ? setTarget : undefined
  return (
    <>
      {services.length > 0 && (
        <table>
          <caption class="hidden">Workers of {node.key}</caption>
          <thead>
            <tr>
              <th scope="col">Worker</th>
              <th scope="col" class="number">Queue</th>
              <th scope="col" class="number"><abbr title="Median latency of the last requests">p50 ms</abbr></th>
              <th scope="col" class="number"><abbr title="99th percentile of the same">p99 ms</abbr></th>
              <th scope="col" class="number wide">CPU</th>
              <th scope="col" class="number wide">Memory</th>
              <th scope="col" class="number">Limit</th>
            </tr>
          </thead>
          {services.map(([task, service]) => (
            <ServiceRows key={task} node={node} task={task} service={service} onLimit={limit} />
          ))}
        </table>
      )}
      {isControllable(node) && absent.length > 0 && <AbsentServices node={node} tasks={absent} />}
      {target && <LimitDialog target={target} onClose={() => setTarget(undefined)} />}
    </>
  )
}

/** Older nodes do not tell of their workers; lost ones do not answer. */
function isControllable({ kind, lost }: Node): boolean {
  return kind !== 'poll' && !lost
}

interface ServiceRowsProps {
  node: Node
  task: string
  service: Service
  /** Absent where nothing can be changed. */
  onLimit: ((target: LimitTarget) => void) | undefined
}

function ServiceRows({ node, task, service, onLimit }: ServiceRowsProps) {
  const { runAloud } = useActions()
  const { workers } = service
  return (
    <tbody>
      <tr class="service">
        <th scope="rowgroup" colSpan={7}>
          <span class="title">{taskName(task)} <code>{task}</code></span>
          {onLimit && (
            <span class="actions">
              <ActionButton label={`Add a worker to ${task} of ${node.key}`}
                onClick={() => runAloud(node, { route: 'add_work_process', body: { task_name: task } },
                  ({ pid }) => `Worker ${String(pid)} of ${task} is ready`)}>
                Add
              </ActionButton>
              <ActionButton label={`Drop a worker of ${task} of ${node.key}`}
                onClick={() => runAloud(node, { route: 'decrease_work_process', body: { task_name: task } },
                  ({ pid }) => `Worker ${String(pid)} of ${task} has ended`)}>
                Drop
              </ActionButton>
              <button type="button" class="small" aria-label={`Limit all workers of ${task} of ${node.key}`}
                onClick={() => onLimit({ node, task, limits: service })}>
                Limit all
              </button>
            </span>
          )}
        </th>
      </tr>
      {workers.map((worker) => (
        <WorkerRow key={worker.pid} worker={worker} {...(onLimit && {
          onLimit: () => onLimit({ node, task, pid: worker.pid, limits: worker }),
        })} />
      ))}
    </tbody>
  )
}

function WorkerRow({ worker, onLimit }: { worker: Worker; onLimit?: () => void }) {
  const { pid, model, cpu_util_limit: cpu, mem_util_limit: memory } = worker
  const limits = [cpu < 1 && share(cpu), memory < 1 && `${share(memory)} memory`].filter(Boolean)
  const limit = limits.join(', ') || 'none'
  return (
    <tr>
      <th scope="row">
        {pid}
        <span class="note model">{model}</span>
      </th>
      <td class="number">{worker.task_to_do}</td>
      <td class="number">{milliseconds(worker.p50_ms)}</td>
      <td class="number">{milliseconds(worker.p99_ms)}</td>
      <td class="number wide">{percent(worker.cpu_ratio)}</td>
      <td class="number wide">{percent(worker.mem_ratio)}</td>
      <td class="number">
        {onLimit
          ? (
            <button
              type="button" class="small" onClick={onLimit} aria-label={`Limit of worker ${pid}: ${limit}. Change`}
            >
              {limit}
            </button>
          )
          : limit}
      </td>
    </tr>
  )
}

function AbsentServices({ node, tasks }: { node: Node; tasks: readonly string[] }) {
  const { runAloud } = useActions()
  return (
    <p class="absent">
      <span>Not served:</span>
      {tasks.map((task) => (
        <ActionButton key={task} label={`Start ${taskName(task).toLowerCase()}: ${task} of ${node.key}`}
          onClick={() => runAloud(node, { route: 'add_work_process', body: { task_name: task } },
            ({ pid }) => `Worker ${String(pid)} of ${task} is ready`)}>
          Start {taskName(task).toLowerCase()}
        </ActionButton>
      ))}
    </p>
  )
}
