/** Real workers for the tests, and what can be seen of them from outside. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino, type Logger } from 'pino'
import type { Test } from 'tap'
import type { NativeImage } from '../../lib/native.js'
import type { Job } from '../../lib/inference/job.js'
import { locateGroups } from '../../lib/host/cgroup/location.js'
import { HostFiles } from '../../lib/host/host-files.js'
import { openLimits, type LimitsBackend } from '../../lib/workers/limits/index.js'
import { Workers, type WorkersOptions } from '../../lib/workers/index.js'

export { face, people } from '../helpers/pictures.js'
export { noLimits } from '../helpers/limits.js'
export { children, isAlive, openDescriptors, until, writeCalls } from '../helpers/processes.js'

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

/** Directories of a group that exist, in every hierarchy. */
export function directoriesOf(group: string): string[] {
  const { v1, v2 } = locateGroups(new HostFiles())
  const owns = new Set([...v1.values(), ...(v2 ? [v2] : [])].map(({ own }) => own))
  return [...owns].map((own) => `${own}/${group}`).filter((path) => existsSync(path))
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
