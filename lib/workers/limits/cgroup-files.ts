/** Helpers over the files both versions have: pids, flat keyed figures, and the way up to the mount. */
import { errnoOf, type KernelFiles } from './kernel-files.js'
import type { KernelWrite } from './driver.js'
import type { GroupLocation } from './mounts.js'

/** Figures of a flat keyed file (`cpu.stat`, `memory.events`, …). */
export function readFigures(files: KernelFiles, path: string): (key: string) => number | undefined {
  const figures = new Map(files.read(path).split('\n').map((line) => {
    const [key = '', value] = line.split(' ')
    return [key, Number(value)]
  }))
  return (key) => figures.get(key)
}

/** Pids of `cgroup.procs`; those that this pid namespace does not see are left out. */
export function readProcesses(files: KernelFiles, directory: string): number[] {
  return files.read(`${directory}/cgroup.procs`).split('\n').map(Number).filter((pid) => pid > 0)
}

/** The group's directory and those above it, up to the mount. */
export function directoriesUp({ mountPoint, own }: GroupLocation): string[] {
  const directories = [own]
  for (let directory = own; directory.length > mountPoint.length;) {
    directory = directory.slice(0, directory.lastIndexOf('/'))
    directories.push(directory)
  }
  return directories
}

/** The write that gives a file a value, or nothing where it has it. */
export function planWrite(files: KernelFiles, path: string, value: string, previous = files.read(path)): KernelWrite[] {
  return previous === value ? [] : [{ path, value, previous }]
}

export function killAll(files: KernelFiles, pids: Iterable<number>): void {
  for (const pid of pids) {
    try {
      if (pid !== process.pid) files.kill(pid)
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error
    }
  }
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

export const ADVICE = 'Start the server as root, or by systemd with Delegate=yes (deploy/edge-infer.service)'
