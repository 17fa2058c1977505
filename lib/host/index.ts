/** What this machine is doing: sampled in the background, answered at once. */
export { defaultAdvertiseAddress, hostAddresses } from './addresses.js'
export { readCpuFeatures, type CpuFeatures } from './cpu-features.js'
export {
  parseDeviceState, toFlatStatus, type DeviceState, type FlatStatus,
} from './device-state.js'
export { readDescriptors, readProcess, type ProcessTimes } from './process.js'
export type { NodeCapacity } from './capacity.js'
export type { ProcessUse } from './process-meter.js'
export { createSampler, readCapacity, readMemoryInUse, type Sampler, type SamplerOptions } from './sampler.js'
