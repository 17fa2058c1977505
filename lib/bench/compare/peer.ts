/** What the library is compared with. A new peer is a file of its own and a name in `PEERS`. */
import type { CatalogEntry, Thresholds } from '../../models/index.js'
import type { Preprocessing } from '../../native.js'
import type { TargetProcess } from '../target-process.js'
import { onnxruntimeNodePeer } from './peer-onnxruntime-node.js'
import { opencvDnnPeer } from './peer-opencv-dnn.js'

/** Families that peers can read. */
export const COMPARED_FAMILIES = ['ultraface', 'yolov8', 'yolox'] as const
export type ComparedFamily = (typeof COMPARED_FAMILIES)[number]

/** The same file, picture, threads and thresholds for all. */
export interface PeerSettings {
  model: string
  family: ComparedFamily
  image: string
  threads: number
  inputSize: { width: number; height: number }
  preprocessing: Preprocessing
  thresholds: Thresholds
}

export interface Peer {
  /** As the command line names it. */
  id: string
  name: string
  /** Why it cannot run a model; undefined where it can. */
  unfit(entry: CatalogEntry): string | undefined
  /** Brings what it needs to the cache directory and starts it. */
  start(settings: PeerSettings, signal?: AbortSignal): Promise<TargetProcess>
  /** What readers of its figures must know. */
  remark?(): string[]
}

export const PEERS: readonly Peer[] = [onnxruntimeNodePeer, opencvDnnPeer]
