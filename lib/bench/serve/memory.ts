/** Memory of processes, as the kernel counts it (proc_pid_smaps(5)). */
import { readFileSync } from 'node:fs'

/** Bytes. */
export interface Memory {
  /** All that is resident, shared pages in full. */
  resident: number
  /** Shared pages by halves, thirds and so on: sums of it count nothing twice. */
  proportional: number
  /** Of that, what is no page of a file: those shrink when any program of the machine maps the same library. */
  own: number
}

/** Of the processes together; those that have ended count nothing. */
export function memoryOf(pids: readonly number[]): Memory {
  const sum: Memory = { resident: 0, proportional: 0, own: 0 }
  for (const pid of pids) {
    const text = readRollup(pid)
    const field = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024
    sum.resident += field('Rss')
    sum.proportional += field('Pss')
    // Kernels before 5.9 do not tell the kinds apart.
    sum.own += /^Pss_Anon:/m.test(text) ? field('Pss_Anon') + field('Pss_Shmem') : field('Pss')
  }
  return sum
}

function readRollup(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  } catch {
    return ''
  }
}
