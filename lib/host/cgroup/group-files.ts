/** What the drivers of both versions do with files, and how they say what cannot be done. */
import { errnoOf, type HostFiles } from '../host-files.js'
import type { ControllerFiles, KernelWrite } from './driver.js'

export function readOr(files: HostFiles, path: string, fallback: string): string {
  try {
    return files.read(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return fallback
    throw error
  }
}

export function controllerFiles(files: HostFiles, version: 1 | 2, directory: string): ControllerFiles {
  const read = (name: string): string => files.read(`${directory}/${name}`)
  return {
    version,
    read,
    readOr: (name, fallback) => readOr(files, `${directory}/${name}`, fallback),
    figures: (name) => new Map(read(name).split('\n').map((line) => {
      const [key = '', value] = line.split(' ')
      return [key, Number(value)]
    })),
    plan: (name, value, previous = read(name)): KernelWrite[] =>
      previous === value ? [] : [{ path: `${directory}/${name}`, value, previous }],
  }
}

/** Pids of `cgroup.procs`; those that this pid namespace does not see are left out. */
export function readProcesses(files: HostFiles, directory: string): number[] {
  return files.read(`${directory}/cgroup.procs`).split('\n').map(Number).filter((pid) => pid > 0)
}

export function killAll(files: HostFiles, pids: Iterable<number>): void {
  for (const pid of pids) {
    try {
      if (pid !== process.pid) files.kill(pid)
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error
    }
  }
}

export function parentOf(group: string): string {
  return group.slice(0, Math.max(0, group.lastIndexOf('/')))
}

/** Why a group could not be made or written, and what to do about it. */
export function explainRefusal(controller: string, error: unknown): string {
  const why = {
    EACCES: 'it belongs to another user',
    EPERM: 'it belongs to another user',
    EROFS: 'it is mounted read-only, as in most containers',
  }[errnoOf(error)] ?? (error instanceof Error ? errnoOf(error) || error.message : String(error))
  return `the ${controller} control group cannot be written: ${why}. ${ADVICE}`
}

export function explainLack(names: readonly string[]): string {
  return `the kernel was built without it: its groups have no ${names.join(' or ')}`
}

export const ADVICE = 'Start the server as root, or by systemd with Delegate=yes (deploy/edge-infer.service)'
