/** Control groups of a test's own, to put whole programs in: small containers. Files have version 1's names. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { locateGroups } from '../../lib/host/cgroup/location.js'
import { HostFiles } from '../../lib/host/host-files.js'
import { until } from './processes.js'

const { v1, v2 } = locateGroups(new HostFiles())
const IN_V2: Readonly<Record<string, string>> = {
  'cpu.cfs_quota_us': 'cpu.max',
  'memory.limit_in_bytes': 'memory.max',
  'memory.usage_in_bytes': 'memory.current',
  'memory.max_usage_in_bytes': 'memory.peak',
  'memory.oom_control': 'memory.events',
}

/** Whether all controllers share one tree, so that a program in a group of limits has left every other group. */
export const isOneTree = v1.size === 0 && v2 !== undefined

/** The group that a controller's are made in. */
function parentFor(controller: string): string | undefined {
  return isOneTree ? v2?.own : v1.get(controller)?.own
}

/** Why a test cannot make a group with that controller; false where it can. */
export function noGroup(controller: string): string | false {
  const parent = parentFor(controller)
  if (parent === undefined) return `no control group has the controller ${controller}`
  try {
    if (isOneTree) {
      if (existsSync(`${parent}/cgroup.type`)) return 'a group with processes in it hands down no controller'
      writeFileSync(`${parent}/cgroup.subtree_control`, `+${controller}`)
    }
    const trial = `${parent}/edge-infer-test.${process.pid}.trial`
    mkdirSync(trial)
    rmdirSync(trial)
    return false
  } catch (error) {
    return `no control group can be made: ${(error as Error).message}`
  }
}

let count = 0

export class TestGroup {
  readonly path: string

  /** Removed with the test, and all that is in it killed. */
  constructor(t: Test, controller: string, limits: Readonly<Record<string, number | string>> = {}) {
    this.path = `${parentFor(controller)}/edge-infer-test.${process.pid}.${count++}`
    mkdirSync(this.path)
    t.teardown(() => removeTree(this.path))
    for (const [name, value] of Object.entries(limits)) this.write(name, value)
  }

  write(name: string, value: number | string): void {
    writeFileSync(this.file(name), isOneTree && value === -1 ? 'max' : `${value}`)
  }

  read(name: string): string {
    return readFileSync(this.file(name), 'utf8').trim()
  }

  file(name: string): string {
    return `${this.path}/${(isOneTree ? IN_V2[name] : undefined) ?? name}`
  }

  /** A command that enters the group and runs its further arguments there. */
  get prefix(): readonly string[] {
    return ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', this.path]
  }

  enter(pid: number): void {
    this.write('cgroup.procs', pid)
  }

  /** Back to the group of the tests. */
  leave(pid: number): void {
    this.write('../cgroup.procs', pid)
  }

  get pids(): number[] {
    return pidsOf(this.path)
  }

  /** Pids in a group below this one. */
  pidsIn(group: string): number[] {
    return pidsOf(`${this.path}/${group}`)
  }
}

function pidsOf(path: string): number[] {
  return readFileSync(`${path}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number)
}

async function removeTree(path: string): Promise<void> {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(`${path}/${entry.name}`)
  }
  await until(() => {
    try {
      for (const pid of pidsOf(path)) process.kill(pid, 'SIGKILL')
      rmdirSync(path)
      return true
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT'
    }
  })
}
