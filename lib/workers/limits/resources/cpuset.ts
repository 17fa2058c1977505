/** Which CPUs and memory nodes may be used. */
import type { NodeCapacity } from '../../../host/capacity.js'
import { formatCpuList, parseCpuList } from '../../../host/cgroup/cpu-list.js'
import { defineResource, SUBSET, type Resource } from '../resource.js'

export const cpus = idSet('cpu_set_cpus', 'cpus', 'Ids of the CPUs', ({ cpus }) => cpus)
export const memoryNodes = idSet('cpu_set_mems', 'mems', 'Ids of the memory nodes', ({ memoryNodes }) => memoryNodes)

function idSet<const Name extends string>(
  name: Name, kind: 'cpus' | 'mems', description: string, available: (capacity: NodeCapacity) => readonly number[],
): Resource<readonly number[], Name, never> {
  const file = `cpuset.${kind}`
  return defineResource({
    names: [name],
    need: { controller: 'cpuset', v1: [], v2: [] },
    schema: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1, uniqueItems: true, description },
    onNode: (capacity) => ({
      items: { type: 'integer', enum: available(capacity) },
      expected: `a non-empty list of different ids out of ${JSON.stringify(available(capacity))}`,
    }),
    order: SUBSET,
    unlimited: available,
    toSetting: (ids: readonly number[]) => ids,
    /** What the kernel allows the group's processes. */
    toLimit: (ids) => ids,
    v1: {
      read: (files) => parseCpuList(files.readOr(`cpuset.effective_${kind}`, '') || files.read(file)),
      // A child's set is a part of its parent's at every step: the parent first gets both the old and the new.
      plan: (files, children, ids) => {
        const [wanted, old] = [formatCpuList(ids), files.read(file)]
        const both = formatCpuList([...ids, ...parseCpuList(old)])
        return [
          ...files.plan(file, both, old),
          ...children.flatMap((child) => child.plan(file, wanted)),
          ...files.plan(file, wanted, both),
        ]
      },
    },
    v2: {
      read: (files) => parseCpuList(files.read(`${file}.effective`)),
      // An empty set is the parent's, but none can be emptied again while a process is in the group (ENOSPC): a child
      // that has a set gets the same, and an empty one is restored as what it stood for.
      plan: (files, children, ids) => {
        const wanted = formatCpuList(ids)
        const standsFor = files.read(`${file}.effective`)
        return [
          ...children.flatMap((child) => child.read(file) === '' ? [] : child.plan(file, wanted)),
          ...files.plan(file, wanted).map((write) => ({ ...write, previous: write.previous || standsFor })),
        ]
      },
    },
  })
}
