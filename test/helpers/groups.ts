/** Control groups of a test's own, to put whole programs in: small containers. Version 1 only. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { locateGroups } from '../../lib/host/cgroup/location.js'
import { HostFiles } from '../../lib/host/host-files.js'
import { until } from './processes.js'

const { v1 } = locateGroups(new HostFiles())

/** Why a test cannot make a group with that controller; false where it can. */
export function noGroup(controller: string): string | false {
  const own = v1.get(controller)?.own
  if (own === undefined) return `no control group of version 1 has the controller ${controller}`
  try {
    const trial = `${own}/edge-infer-test.${process.pid}.trial`
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
  constructor(t: Test, controller: string, limits: Readonly<Record<string, number>> = {}) {
    this.path = `${v1.get(controller)?.own}/edge-infer-test.${process.pid}.${count++}`
    mkdirSync(this.path)
    t.teardown(() => removeTree(this.path))
    for (const [name, value] of Object.entries(limits)) this.write(name, value)
  }

  write(name: string, value: number | string): void {
    writeFileSync(`${this.path}/${name}`, `${value}`)
  }

  read(name: string): string {
    return readFileSync(`${this.path}/${name}`, 'utf8').trim()
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
