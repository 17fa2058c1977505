/** CPU time, by the quota of CFS bandwidth control (Documentation/scheduler/sched-bwc.rst). */
import type { ControllerFiles, KernelWrite } from '../../../host/cgroup/driver.js'
import { AT_MOST, defineResource, roundedShare } from '../resource.js'

/** Microseconds; `quota` undefined is no limit. */
interface Bandwidth {
  quota: number | undefined
  period: number
}

/** Microseconds the kernel accepts. */
const MIN_QUOTA = 1_000
const MAX_PERIOD = 1_000_000
const NONE: Bandwidth = { quota: undefined, period: 0 }
const [QUOTA_FILE, PERIOD_FILE] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us']
const NO_QUOTA = { v1: '-1', v2: 'max' }

export const cpu = defineResource({
  names: ['cpu_util_limit'],
  reported: { key: 'cpu_util_limit', noun: 'CPU', whole: 'all cores' },
  need: { controller: 'cpu', v1: [QUOTA_FILE], v2: ['cpu.max'] },
  schema: { type: 'number', exclusiveMinimum: 0, maximum: 1, description: 'Share of all cores' },
  onNode: ({ cores }) => {
    const minimum = MIN_QUOTA / MAX_PERIOD / cores
    return { minimum, expected: `a number above 0 and at most 1 (the kernel can hold no less than ${minimum} here)` }
  },
  order: AT_MOST,
  unlimited: () => 1,
  /**
   * `quota = limit × cores × period`. A limit so low that the quota would be below the kernel's least gets a longer
   * period; 1 is no quota: exact, and without the cost of accounting for one.
   */
  toSetting: (limit: number, { capacity, period }): Bandwidth => {
    if (limit === 1) return { quota: undefined, period }
    const share = limit * capacity.cores
    const longEnough = Math.min(Math.max(period, Math.ceil(MIN_QUOTA / share)), MAX_PERIOD)
    return { quota: Math.max(Math.round(share * longEnough), MIN_QUOTA), period: longEnough }
  },
  toLimit: ({ quota, period }, { cores }) => quota === undefined ? 1 : roundedShare(quota / period / cores),
  v1: {
    read: (files) => {
      const quota = Number(files.read(QUOTA_FILE))
      return { quota: quota < 0 ? undefined : quota, period: Number(files.read(PERIOD_FILE)) }
    },
    // The kernel refuses a child more than its parent has: the children are let go first.
    plan: (files, children, asked) => [...children.flatMap((child) => planV1(child, NONE)), ...planV1(files, asked)],
  },
  v2: {
    read: (files) => parseBandwidth(files.read('cpu.max')),
    plan: (files, children, asked) => [...children.flatMap((child) => planV2(child, NONE)), ...planV2(files, asked)],
  },
})

/** Quota and period are two files; between two limits of different period there is none for an instant. */
function planV1(files: ControllerFiles, { quota, period }: Bandwidth): KernelWrite[] {
  const released = files.plan(QUOTA_FILE, NO_QUOTA.v1)
  if (quota === undefined) return released
  const periodWrites = files.plan(PERIOD_FILE, `${period}`)
  if (periodWrites.length === 0) return files.plan(QUOTA_FILE, `${quota}`)
  return [...released, ...periodWrites, ...files.plan(QUOTA_FILE, `${quota}`, NO_QUOTA.v1)]
}

function planV2(files: ControllerFiles, { quota, period }: Bandwidth): KernelWrite[] {
  if (quota !== undefined) return files.plan('cpu.max', `${quota} ${period}`)
  return parseBandwidth(files.read('cpu.max')).quota === undefined ? [] : files.plan('cpu.max', NO_QUOTA.v2)
}

/** `max 100000` or `18000 20000`. */
function parseBandwidth(text: string): Bandwidth {
  const [quota = NO_QUOTA.v2, period = '100000'] = text.split(' ')
  return { quota: quota === NO_QUOTA.v2 ? undefined : Number(quota), period: Number(period) }
}
