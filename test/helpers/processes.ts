/** What can be seen of processes from outside, and waiting for it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** How many times longer than on a machine of its own things take here: many on an emulated one. */
const PATIENCE = Number(process.env['TEST_PATIENCE'] ?? 1)

/** Waits for something to become true; false when it does not within so many milliseconds: as a busy machine needs. */
export async function until(
  condition: () => boolean | Promise<boolean>, milliseconds = 90_000,
): Promise<boolean> {
  const end = Date.now() + milliseconds * PATIENCE
  for (; Date.now() < end; await sleep(10)) if (await condition()) return true
  return condition()
}

/** Pids of the processes that have this one as parent. */
export function children(pid = process.pid): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((child) => {
    try {
      const stat = readFileSync(`/proc/${child}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
    } catch {
      return false
    }
  })
}

/** What this process's descriptors lead to: sockets, pipes and shared memory. */
export function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/g, 'N')]
    } catch {
      return []
    }
  }).sort()
}

/** How often this process has called write(2) and its like. */
export function writeCalls(): number {
  return Number(/^syscw: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}
