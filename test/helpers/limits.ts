import { openLimits } from '../../lib/workers/limits/index.js'

const limits = await openLimits({ removeLeftovers: false })
await limits.close()

/** Which control groups limits are set by: v1, v2 or none. */
export const limitsMode = limits.mode

/** Why no limits can be set on this machine; false where they can. */
export const noLimits = limits.available ? false : limits.reason ?? 'no control groups'
