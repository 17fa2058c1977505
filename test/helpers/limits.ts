import { openLimits } from '../../lib/workers/limits/index.js'

/** Why no limits can be set on this machine; false where they can. */
export const noLimits = await openLimits({ removeLeftovers: false }).then(async (limits) => {
  await limits.close()
  return limits.available ? false : limits.reason ?? 'no control groups'
})
