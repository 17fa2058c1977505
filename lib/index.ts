/** What `import … from 'edge-infer'` gives. */
export { EdgeInferError, ERROR_TABLE, type ErrorCode } from './errors.js'
export { loadRuntime, type RuntimeInfo, type StageTimings } from './native.js'
export { listModels } from './models/index.js'
export * from './tasks/index.js'
export { resolveModel } from './tasks/models.js'
export { annotate, type AnnotateOptions } from './inference/annotate.js'
