/** Types of `require('edge-infer')`: those of the ES module, but for `loadRuntime`, which answers a promise here. */
import type * as library from '../lib/index.js' with { 'resolution-mode': 'import' }

export type * from '../lib/index.js' with { 'resolution-mode': 'import' }
export type EdgeInferError = library.EdgeInferError
export declare const EdgeInferError: typeof library.EdgeInferError
export declare const ERROR_TABLE: typeof library.ERROR_TABLE
export declare const TASK_NAMES: typeof library.TASK_NAMES
export declare const UP_PITCH: typeof library.UP_PITCH
export declare const isTaskName: typeof library.isTaskName
export declare const createTask: typeof library.createTask
export declare const annotate: typeof library.annotate
export declare const listModels: typeof library.listModels
export declare const resolveModel: typeof library.resolveModel
export declare const loadRuntime: (path?: string) => Promise<library.RuntimeInfo>
