import { age, gigabytes, megabytesPerSecond, percent } from '../format'
import type { History, Node } from '../state'
import { Figure } from './figure'
import { WorkersTable } from './workers-table'

export function NodeCard({ node, history }: { node: Node; history: History | undefined }) {
  const { id, key, kind, role, lost, device_state: device } = node
  const { cpu = [], memory = [], network = [], gpus = {} } = history ?? {}
  return (
    <article class={lost ? 'node lost' : 'node'} aria-labelledby={`node-${id}`}>
      <header>
        <h3 id={`node-${id}`}>{key}</h3>
        <span class="badge">{role}</span>
        {kind === 'self' && <span class="badge">this node</span>}
        {kind === 'poll' && <span class="badge">older kind</span>}
        {lost && <span class="badge warning">lost, last heard {age(node.age_ms)} ago</span>}
        <span class="facts">{device.n_cpu} {device.n_cpu === 1 ? 'core' : 'cores'}, {gigabytes(device.mem_total)}</span>
      </header>
      <dl class="figures">
        <Figure label="CPU" values={cpu} format={percent} top={100} />
        <Figure label="Memory" values={memory} format={percent} top={100} />
        {Object.entries(gpus).map(([gpu, values]) => (
          <Figure key={gpu} label={`GPU ${gpu}`} values={values} format={percent} top={100}
            {...gpuMemory(device.gpu_mem[gpu])} />
        ))}
        <Figure label="Network" values={network} format={megabytesPerSecond} />
      </dl>
      <WorkersTable node={node} />
    </article>
  )
}

function gpuMemory(used: number | undefined): { note?: string } {
  return used === undefined ? {} : { note: `memory ${percent(used * 100)}` }
}
