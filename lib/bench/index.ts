export { measureAccuracy, type Accuracy, type AccuracyOptions } from './accuracy/index.js'
export { reportAccuracy } from './accuracy/report.js'
export { measureKernel, type KernelOptions, type KernelResult, type KernelResults } from './kernel/index.js'
export { reportKernel } from './kernel/report.js'
