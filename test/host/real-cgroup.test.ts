import { execFile } from 'node:child_process'
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { DeviceState, NodeCapacity } from '../../lib/host/index.js'
import { locateGroups } from '../../lib/host/cgroup/location.js'
import { HostFiles } from '../../lib/host/host-files.js'
import { until } from './trees.js'

const GROUP = `edge-infer-node-test-${process.pid}`
// The highest weight: what else runs on the machine takes none of the group's half core.
const V1: Record<string, Record<string, string>> = {
  cpu: { 'cpu.cfs_period_us': '10000', 'cpu.cfs_quota_us': '5000', 'cpu.shares': '262144' },
  cpuacct: {},
  memory: { 'memory.limit_in_bytes': String(2 ** 29) },
}
const V2 = { 'cpu.max': '5000 10000', 'cpu.weight': '10000', 'memory.max': String(2 ** 29) }

/** The files of each group to be made, by the group it is made in. */
function wantedGroups(): [parent: string, files: Record<string, string>][] {
  const { v1, v2 } = locateGroups(new HostFiles())
  if (v1.size > 0 || v2 === undefined) {
    return Object.entries(V1).map(([controller, files]) => [join('/sys/fs/cgroup', controller), files])
  }
  writeFileSync(join(v2.own, 'cgroup.subtree_control'), '+cpu +memory')
  return [[v2.own, V2]]
}

/** The folders of a new group with those limits, or why this machine gives none. */
function makeGroups(): string[] | string {
  const folders: string[] = []
  try {
    for (const [parent, files] of wantedGroups()) {
      const folder = join(parent, GROUP)
      mkdirSync(folder, { recursive: true })
      folders.push(folder)
      for (const [name, value] of Object.entries(files)) writeFileSync(join(folder, name), value)
    }
    return folders
  } catch (error) {
    for (const folder of folders) rmdirSync(folder)
    return `no control group that may be written here: ${(error as Error).message}`
  }
}

const folders = makeGroups()
const skip = typeof folders === 'string' && folders

t.test('a program in a real group reports the group, not the machine', { skip }, async t => {
  if (typeof folders === 'string') return
  const library = new URL('../../lib/host/index.js', import.meta.url).href
  const script = `import { createSampler } from '${library}'
    const sampler = createSampler({ intervalMs: 1e9, searchPath: '' })
    sampler.watch(process.pid)
    for (const end = Date.now() + 1500; Date.now() < end;);
    const state = sampler.sampleNow()
    console.log(JSON.stringify({ state, capacity: sampler.capacity(), use: sampler.process(process.pid) }))`
  const enter = folders.map(folder => `echo $$ > ${folder}/cgroup.procs`).join('; ')
  const command = `${enter}; exec "$0" --input-type=module -e "$1"`
  const { stdout } = await promisify(execFile)('/bin/sh', ['-ec', command, process.execPath, script])
  const { state, capacity, use } = JSON.parse(stdout) as {
    state: DeviceState
    capacity: NodeCapacity
    use: { cpuPercent: number }
  }
  t.match(capacity, { cores: 0.5, memoryBytes: 2 ** 29 })
  t.match(state, { n_cpu: 1, mem_total: 0.5 })
  t.equal(state.cpu_ratio.length, 1)
  t.ok((state.cpu_ratio[0] ?? 0) > 60, `${state.cpu_ratio[0]} % of the group's CPU time`)
  t.ok(use.cpuPercent > 60, `${use.cpuPercent} % by the process's own account`)
  t.ok(state.mem_ratio > 1 && state.mem_ratio < 60, `${state.mem_ratio} % of the group's memory`)
  await until(() => folders.every(removed), 'the groups removed')
})

function removed(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}
