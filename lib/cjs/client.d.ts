/** Types of `require('edge-infer/client')`: those of the ES module. */
import type * as client from '../lib/client/index.js' with { 'resolution-mode': 'import' }

export type * from '../lib/client/index.js' with { 'resolution-mode': 'import' }
export type EdgeInferError = client.EdgeInferError
export type EdgeInferClient = client.EdgeInferClient
export type ClusterClient = client.ClusterClient
export declare const EdgeInferError: typeof client.EdgeInferError
export declare const ERROR_TABLE: typeof client.ERROR_TABLE
export declare const EdgeInferClient: typeof client.EdgeInferClient
export declare const ClusterClient: typeof client.ClusterClient
export declare const decodeImage: typeof client.decodeImage
