/** Real workers for the tests, and what can be seen of them from outside. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino, type Logger } from 'pino'
import type { Test } from 'tap'
import type { NativeImage } from '../../lib/native.js'
import type { Job } from '../../lib/inference/job.js'
import { openLimits, type LimitsBackend } from '../../lib/workers/limits/index.js'
import { kernelFiles } from '../../lib/workers/limits/kernel-files.js'
import { locateGroups } from '../../lib/workers/limits/mounts.js'
import { Workers, type WorkersOptions } from '../../lib/workers/index.js'

export { face, people } from '../helpers/pictures.js'
export { noLimits } from '../helpers/limits.js'

export interface LogLine {
  level: number
  msg: string
  [key: string]: unknown
}

/** A logger whose lines can be read. */
export function recordingLog(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = []
  const log = pino({ base: null }, { write: (text: string) => { lines.push(JSON.parse(text) as LogLine) } })
  return { log, lines }
}

export interface Started {
  service: Workers
  limits: LimitsBackend
  lines: LogLine[]
}

/** Workers that are ready; ended with the test. */
export async function start(t: Test, options: Omit<WorkersOptions, 'log'>): Promise<Started> {
  const limits = await openLimits()
  const { log, lines } = recordingLog()
  const service = new Workers({ download: false, ...options, log }, limits)
  t.teardown(() => service.close({ now: true }))
  await service.start()
  if (service.unavailable.size > 0) t.fail([...service.unavailable].join('; '))
  return { service, limits, lines }
}

export function encoded(data: Uint8Array): NativeImage {
  return { kind: 'encoded', data }
}

export function jobOf(data: Uint8Array, rest: Omit<Job, 'images'> = {}): Job {
  return { images: [encoded(data)], ...rest }
}

/** A 24-bit BMP of one colour: quick to make, of any size. */
export function bitmap(width: number, height: number, level = 0): Buffer {
  const row = Math.ceil(width * 3 / 4) * 4
  const file = Buffer.alloc(54 + row * height, level)
  file.write('BM')
  file.writeUInt32LE(file.length, 2)
  file.writeUInt32LE(0, 6)
  file.writeUInt32LE(54, 10)
  file.writeUInt32LE(40, 14)
  file.writeInt32LE(width, 18)
  file.writeInt32LE(height, 22)
  file.writeUInt16LE(1, 26)
  file.writeUInt16LE(24, 28)
  file.fill(0, 30, 54)
  return file
}

export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Waits for something to become true; false when it does not within so many milliseconds: as a busy machine needs. */
export async function until(condition: () => boolean, milliseconds = 90_000): Promise<boolean> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(10)) if (condition()) return true
  return condition()
}

/** Directories of a group that exist, in every hierarchy. */
export function directoriesOf(group: string): string[] {
  const { v1, v2 } = locateGroups(kernelFiles)
  const owns = new Set([...v1.values(), ...(v2 ? [v2] : [])].map(({ own }) => own))
  return [...owns].map((own) => `${own}/${group}`).filter((path) => existsSync(path))
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

/** `lines` clients that each post one job after the other until they are told to stop; counts what came of it. */
export class Load {
  done = 0
  readonly errors: unknown[] = []
  readonly byPid = new Map<number, number>()
  #stopped = false
  readonly #clients: Promise<void>[]

  constructor(clients: number, run: (client: number) => Promise<{ pid: number }>) {
    this.#clients = Array.from({ length: clients }, async (_, client) => {
      while (!this.#stopped) {
        try {
          const { pid } = await run(client)
          this.done += 1
          this.byPid.set(pid, (this.byPid.get(pid) ?? 0) + 1)
        } catch (error) {
          this.errors.push(error)
          await sleep(5)
        }
      }
    })
  }

  /** Resolves when the last answers are there. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#clients)
  }
}
