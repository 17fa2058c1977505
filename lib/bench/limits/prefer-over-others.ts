import { writeFileSync } from 'node:fs'
import type { LimitsBackend } from '../../workers/limits/index.js'
import { kernelFiles } from '../../workers/limits/kernel-files.js'
import { locateGroups } from '../../workers/limits/mounts.js'

/** Gives the server's groups the CPU before anything else that runs, so that what is measured is the limit alone. */
export function preferOverOthers({ mode, serverGroup }: LimitsBackend): void {
  const { v1, v2 } = locateGroups(kernelFiles)
  const unified = v2?.own.replace(/\/edge-infer\..*$/, '')
  if (mode === 'v1') writeFileSync(`${v1.get('cpu')?.own}/${serverGroup}/cpu.shares`, '262144')
  else if (mode === 'v2') writeFileSync(`${unified}/${serverGroup}/cpu.weight`, '10000')
}
