/** What the nodes hold, and what is left of them when they have ended. */
import { readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs'
import { locateGroups } from '../../lib/host/cgroup/location.js'
import { HostFiles } from '../../lib/host/host-files.js'
import type { ChaosNode } from './node-process.js'

/** In the environment of every process of a run, so that none of them is missed, and no other is touched. */
export const MARKER = 'EDGE_INFER_CHAOS_RUN'

export interface Holding {
  /** `cloud`, or `cloud face_detection` for a worker. */
  process: string
  pid: number
  megabytes: number
  sockets: number
  /** Other descriptors than sockets, and those of the log. */
  descriptors: number
}

/** Of the node's server and of its workers. */
export async function holdings(node: ChaosNode): Promise<Holding[]> {
  const workers = (await node.workers()).sort((a, b) => a.task.localeCompare(b.task))
  const ofWorkers = workers.map(({ task, pid }) => ({ process: `${node.name} ${task}`, pid }))
  const processes = [{ process: node.name, pid: node.pid }, ...ofWorkers]
  return processes.flatMap(({ process, pid }) => {
    try {
      const kinds = readdirSync(`/proc/${pid}/fd`).filter((fd) => Number(fd) > 2)
        .flatMap((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
      const sockets = kinds.filter((kind) => kind.startsWith('socket:')).length
      const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
      const megabytes = Math.round(kilobytes / 1024)
      return [{ process, pid, megabytes, sockets, descriptors: kinds.length - sockets }]
    } catch {
      return []
    }
  })
}

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)]
  } catch {
    return []
  }
}

/** Pids of the processes of the run, other than this one. */
export function processesOf(run: string): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((pid) => pid !== process.pid && isOf(run, pid))
}

export function isOf(run: string, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${MARKER}=${run}`)
  } catch {
    return false
  }
}

/** Control groups of servers with these pids. */
export function groupsOf(pids: ReadonlySet<number>): string[] {
  const { v1, v2 } = locateGroups(new HostFiles())
  const owns = new Set([...v1.values(), ...(v2 ? [v2] : [])].map(({ own }) => own))
  return [...owns].flatMap((own) => readdirSync(own)
    .filter((name) => pids.has(Number(/^edge-infer\.\d+\.(\d+)\./.exec(name)?.[1])))
    .map((name) => `${own}/${name}`))
}

/** Removes a control group and those below it: nothing runs in them any more. */
export function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(`${path}/${entry.name}`)
  }
  rmdirSync(path)
}

/** Files in a directory and in shared memory that the nodes made. */
export function filesLeft(temporary: string): string[] {
  return [
    ...readdirSync(temporary).map((name) => `${temporary}/${name}`),
    ...readdirSync('/dev/shm').filter((name) => name.includes('edge-infer')).map((name) => `/dev/shm/${name}`),
  ]
}
