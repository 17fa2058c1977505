/** All peers. A new one is one more file and one more name here. */
import type { Peer } from './peer.js'
import { onnxruntimeNodePeer } from './peer-onnxruntime-node.js'
import { opencvDnnPeer } from './peer-opencv-dnn.js'

export const PEERS: readonly Peer[] = [onnxruntimeNodePeer, opencvDnnPeer]
