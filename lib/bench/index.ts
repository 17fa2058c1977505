export { measureAccuracy, type Accuracy, type AccuracyOptions } from './accuracy/index.js'
export { reportAccuracy } from './accuracy/report.js'
export { measureKernel, type KernelOptions, type KernelResult, type KernelResults } from './kernel/index.js'
export { reportKernel } from './kernel/report.js'
export { COMPARED_TASKS, measureComparison, type ComparedTask, type CompareOptions } from './compare/index.js'
export { PEERS } from './compare/peer.js'
export { reportComparison } from './compare/report.js'
export { measureLimits, type LimitResults, type LimitsBenchOptions } from './limits/index.js'
export { reportLimits } from './limits/report.js'
export {
  compareSpeed, createJudge, type AccuracyChange, type JudgeOptions, type QuantizationJudge, type SpeedChange,
} from './quantization.js'
export {
  measureServe, REQUEST_ENCODINGS, SERVED_PEERS, SERVED_TASKS, type Level, type RequestEncoding,
  type ServeBenchOptions, type ServedPeer, type ServedTask, type ServeResults,
} from './serve/index.js'
export { reportServe } from './serve/report.js'
